-- SPDX-License-Identifier: MIT
-- `campaign doctor`: versions of the libraries used, their known problems, and whether the accounts file is private. Exit code 0 unless
-- something must be fixed first.

local config = require "campaign.config"
local core = require "campaign.core"
local lfs = require "campaign.lfs"
local output = require "campaign.cli.output"

local M = {}

-- A version such as "7.88.1" as a number that can be compared; nil for other texts.
local function number_of(version)
  local parts = {}
  for digits in (version or ""):gmatch("%d+") do
    parts[#parts + 1] = tonumber(digits)
  end
  return parts[1] and parts[1] * 1000000 + (parts[2] or 0) * 1000 + (parts[3] or 0)
end

local function below(version, limit)
  local number = number_of(version)
  return number ~= nil and number < number_of(limit)
end

---What is known to be bad about a version: a list of { level = "note" | "warning" | "problem", text }.
---@param name string
---@param version string?
---@return table[]
function M.known(name, version)
  local found = {}
  local function add(level, text)
    found[#found + 1] = { level = level, text = text }
  end
  if name == "libcurl" then
    if below(version, "7.88.0") then
      add("problem", "older than 7.88: options that keep requests safe are missing")
    end
    if below(version, "8.4.0") then
      add("note", "its own size limit does not stop running transfers before 8.4.0; ours counts bytes itself")
    end
    add("note", "re-sends a request by itself on a connection that died; the engine stops that and reports it")
  elseif name == "SQLite" and version then
    local fixed = not below(version, "3.51.3")
      or (not below(version, "3.44.6") and below(version, "3.45.0"))
      or (not below(version, "3.50.7") and below(version, "3.51.0"))
    if not fixed and not below(version, "3.7.0") then
      add("warning", "can corrupt a write-ahead log that several connections write (3.7.0 to 3.51.2): one connection only")
    end
  elseif name == "libxlsxwriter" then
    add("note", "does not notice every write that fails on a full disk: what it wrote is read back")
  elseif name == "lua-cjson" then
    add("note", "keeps integers as floats of 14 digits: long ids are read as texts, and nothing is sent through its encoder")
  end
  return found
end

local function components(place)
  local list = {}
  local function add(name, version, err)
    list[#list + 1] = { name = name, version = version or err and "missing" or "unknown",
      findings = err and { { level = "problem", text = tostring(err) } } or M.known(name, version) }
  end
  add("campaign", core.version)
  local jit = rawget(_G, "jit")
  add("Lua", jit and jit.version or _VERSION .. " (" .. place.flavour .. ")")
  -- "libcurl/7.88.1 OpenSSL/3.0.17 zlib/1.2.13 ...": the library, its TLS, the rest
  local versions, err = core.http.versions()
  local libraries = {}
  for word in (versions or ""):gmatch("%S+") do
    libraries[#libraries + 1] = word
  end
  add("libcurl", versions and libraries[1]:match("/(.+)$"), err)
  if versions then
    add("TLS", (libraries[2]:gsub("/", " ")))
  end
  add("lua-cjson", require("cjson")._VERSION)
  add("argparse", require("argparse").version)
  add("LuaFileSystem", (lfs._VERSION:gsub("^LuaFileSystem ", "")))
  add("SQLite", core.store.version())
  add("libxlsxwriter", core.sheet.version())
  local zip, expat = core.workbook.versions() -- nil and why not
  add("libzip", zip, not zip and expat)
  add("Expat", zip and expat, not zip and expat)
  return list
end

-- Whether the client takes the accounts file, and if not, why.
local function accounts(getenv)
  local path, is_named = config.file_path(getenv)
  local content, err = nil, nil
  if path then
    content, err = config.read_file(path, is_named)
  end
  if not content and (not err or err.reason == "missing" and not is_named) then
    return { path = path or "accounts.json", state = "not there; accounts come from the environment or from options", ok = true }
  end
  local attributes = lfs.attributes(path) or {}
  local state = "refused: " .. tostring(err)
  if content then
    state = "private (" .. attributes.permissions .. ")"
  elseif attributes.mode == "file" and attributes.permissions:sub(4) ~= "------" then
    state = attributes.permissions .. ": others may read it, so it is refused; chmod 600 " .. path
  end
  return { path = path, ok = content ~= nil, state = state }
end

local function is_file(path)
  return lfs.attributes(path, "mode") == "file"
end

-- The Lua on which bin/campaign would run the sandbox: it has lua-http, and the core is built for it.
local function sandbox_interpreter(place)
  local core_file = place.c_path:gsub("%?", "campaign/core")
  local for_luajit = core_file:gsub("/lua5%.4/campaign/", "/luajit/campaign/"):gsub("/lua/5%.4/campaign/", "/lua/5.1/campaign/")
  for name, path in pairs{ luajit = for_luajit, ["lua5.4"] = place.flavour == "lua5.4" and core_file or nil } do
    local status = is_file(path) and os.execute(name .. " -e 'require \"http.server\"' >/dev/null 2>&1")
    if status == 0 or status == true then
      return name
    end
  end
end

function M.run(given, place)
  local found = components(place)
  local file = accounts(os.getenv)
  local interpreter = sandbox_interpreter(place)
  local healthy = file.ok
  for _, component in ipairs(found) do
    for _, finding in ipairs(component.findings) do
      healthy = healthy and finding.level ~= "problem"
    end
  end
  if given.json then
    for _, component in ipairs(found) do
      component.findings = core.json.array(component.findings)
    end
    output.json{ components = core.json.array(found), accounts = file, sandbox = interpreter or false, healthy = healthy }
    return healthy and 0 or output.EXIT.refused
  end
  local rows = {}
  for _, component in ipairs(found) do
    rows[#rows + 1] = { component.name, component.version }
  end
  rows[#rows + 1] = { "accounts", file.path .. ": " .. file.state }
  rows[#rows + 1] = { "sandbox", interpreter
    and "runs on " .. interpreter or "does not run here: it needs lua-http, and campaign built for the same Lua (LuaJIT on Debian)" }
  output.columns(rows)
  for _, component in ipairs(found) do
    for _, finding in ipairs(component.findings) do
      io.stdout:write(finding.level, ": ", component.name, " ", component.version, ": ", finding.text, "\n")
    end
  end
  return healthy and 0 or output.EXIT.refused
end

return M
