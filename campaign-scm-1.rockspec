rockspec_format = "3.0"
package = "campaign"
version = "scm-1"
source = {
  -- Built from a checkout: luarocks --lua-version 5.4 make --deps-mode=none; with 5.1 for LuaJIT
  url = ".",
}
description = {
  summary = "Outreach campaigns as short Lua scripts on a C core",
  detailed = [[
Imports contact lists into marketing platforms: checks every row, transcodes without losing a character, sends in batches with
evidence of what arrived, and accounts for each row. Platforms are data; a local sandbox plays all of them.]],
  license = "MIT",
}
supported_platforms = { "linux" }
dependencies = {
  "lua >= 5.1, < 5.5",
  "argparse >= 0.7",
  "lua-cjson >= 2.1",
  "luafilesystem >= 1.8",
}
-- libcurl, libcrypto, SQLite, zlib, libzip, Expat and libxlsxwriter are found by pkg-config: their headers stand in a folder of the architecture on Debian, where luarocks does not look.
build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "RelWithDebInfo",
    CMAKE_INSTALL_PREFIX = "$(PREFIX)",
    CAMPAIGN_LUA = "rock", -- Lua 5.4, or LuaJIT for 5.1
    CAMPAIGN_WERROR = "OFF",
    CAMPAIGN_INSTALL_BIN = "$(BINDIR)",
    CAMPAIGN_INSTALL_LUA = "$(LUADIR)",
    CAMPAIGN_INSTALL_C = "$(LIBDIR)",
  },
  copy_directories = { "docs", "examples" },
}
