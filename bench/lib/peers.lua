-- SPDX-License-Identifier: MIT
-- Who takes part: for each contender its command per job, and why it is left out where it cannot
-- run. {url}, {csv}, {gbk}, {job}, {out} in a command are filled in by the runner ({job}: a folder
-- that does not exist yet).

local shell = require "shell"

local M = {}

-- Words of a command line, split at blanks.
local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do
    list[#list + 1] = word
  end
  return list
end

local LIMIT = words [[curl -sf --noproxy * -o /dev/null -F abbreviate=bench -F dataSourceName=bench
  -F operationType=0 -F dataSourceType=0 -F token=bench-token -F dataSourceFile=@{gbk};type=text/csv
  {url}/api/v1/config/openapi/contact/uploadDataSource/v2]]

-- A script on the public API, with the paths that `campaign env` would give.
local function script(lua, flavour, file)
  local pwd = shell.capture("pwd -P")
  return { "env", ("LUA_PATH=%s/lua/?.lua;%s/lua/?/init.lua;;"):format(pwd, pwd),
    ("LUA_CPATH=%s/build/%s/?.so;;"):format(pwd, flavour), lua, file, "{url}", "{csv}", "{job}" }
end

local COMMAND = [[env
  CAMPAIGN_OUTBOUND_BASE_URL={url} CAMPAIGN_OUTBOUND_TOKEN=bench-token
  CAMPAIGN_OUTBOUND_ABBREVIATE=bench
  CAMPAIGN_LONGLONG_BASE_URL={url} CAMPAIGN_LONGLONG_TOKEN=bench-token
  CAMPAIGN_LONGLONG_USER_ID=bench
  bin/campaign import {csv} --job {job} --json ]]

-- One file up to a million rows, as the peers send it.
local J1_COMMAND = words(COMMAND .. [[--to outbound.upload_contacts_file --rows-per-file 1000000 --window ignore
  -p dataSourceName=bench -p operationType=0 -p dataSourceType=0
  --map name=姓名 --map phone=手机号 --map email=邮箱 --map company=公司 --map sex=性别
  --map grade=客户等级 --map groups=分组 --map note=备注 --map uuid=uuid]])
local J2_COMMAND = words(COMMAND .. [[--to longlong.import_customers_async --concurrency 16
  --map extra=uuid]])

local MAP_COMMAND = words(COMMAND .. [[--to longlong.import_customers_async --concurrency 16
  --map bench/map.lua]])

local function missing_campaign(flavour)
  return function()
    if not shell.exists(("build/%s/campaign/core.so"):format(flavour)) then
      return "build/" .. flavour .. "/campaign/core.so is missing (make build)"
    end
    if not shell.exists("lua/campaign/import/init.lua") then
      return "there is no campaign.import"
    end
  end
end

local function missing_command()
  if not shell.exists("bin/campaign") then
    return "there is no bin/campaign"
  end
  return missing_campaign("lua5.4")()
end

-- Builds the Go peer, without modules and without a network: x/text comes from Debian's package.
local function missing_go(out)
  if not shell.which("go") then
    return "go was not found (packages golang-go, golang-golang-x-text-dev)"
  end
  local whole = shell.capture("cd " .. shell.quote(out) .. " && pwd -P")
  local command = "cd bench/peers/go && GO111MODULE=off GOPATH=${GOPATH:-/usr/share/gocode} "
    .. "GOCACHE=%s go build -o %s . 2>%s"
  if not shell.run(command:format(shell.quote(whole .. "/gocache"), shell.quote(whole .. "/gopeer"),
    shell.quote(whole .. "/gopeer.log"))) then
    return "the Go peer does not build (package golang-golang-x-text-dev?); see " .. out
      .. "/gopeer.log"
  end
end

local function missing_floor(out)
  local command = "%s -O2 -o %s bench/peers/floor.c -lcurl 2>%s"
  if not shell.run(command:format(os.getenv("CC") or "cc", shell.quote(out .. "/floor"),
    shell.quote(out .. "/floor.log"))) then
    return "bench/peers/floor.c does not build; see " .. out .. "/floor.log"
  end
end

local function missing_lua_peer()
  local command = "luajit -e 'require \"curl\" require \"iconv\" require \"cjson\"' >/dev/null 2>&1"
  if not shell.run(command) then
    return "luajit with lua-curl, lua-iconv and lua-cjson was not found"
  end
end

local function missing_lua54_peer()
  if not shell.run("lua5.4 -e 'require \"socket\" require \"cjson\"' >/dev/null 2>&1") then
    return "lua5.4 with LuaSocket and lua-cjson was not found"
  end
end

local function missing_curl()
  return not shell.which("curl") and "curl was not found" or nil
end

-- The first one present is the reference of all ratios.
M.LIST = {
  {
    name = "campaign",
    what = "script on the public API, Lua 5.4",
    missing = missing_campaign("lua5.4"),
    j1 = script("lua5.4", "lua5.4", "bench/campaign_j1.lua"),
    j2 = script("lua5.4", "lua5.4", "bench/campaign_j2.lua"),
    map = script("lua5.4", "lua5.4", "bench/campaign_map.lua"),
  },
  {
    name = "campaign-luajit",
    what = "the same script, LuaJIT",
    missing = missing_campaign("luajit"),
    j1 = script("luajit", "luajit", "bench/campaign_j1.lua"),
    j2 = script("luajit", "luajit", "bench/campaign_j2.lua"),
    map = script("luajit", "luajit", "bench/campaign_map.lua"),
  },
  {
    name = "campaign-no-ledger",
    what = "the same script, Lua 5.4, nothing written down: what the durable ledger costs",
    missing = missing_campaign("lua5.4"),
    j2 = script("lua5.4", "lua5.4", "bench/no_ledger.lua"),
  },
  {
    name = "campaign-command",
    what = "bin/campaign import",
    missing = missing_command,
    j1 = J1_COMMAND,
    j2 = J2_COMMAND,
    map = MAP_COMMAND,
  },
  {
    name = "go",
    what = "net/http, encoding/csv, x/text",
    missing = missing_go,
    j1 = words "{out}/gopeer j1 {url} {csv}",
    j2 = words "{out}/gopeer j2 {url} {csv} 16",
  },
  {
    name = "luajit",
    what = "lua-curl, lua-iconv, lua-cjson; J2 one call at a time",
    alone = true,
    missing = missing_lua_peer,
    j1 = words "luajit bench/peers/peer.lua j1 {url} {csv}",
    j2 = words "luajit bench/peers/peer.lua j2 {url} {csv}",
    map = words "luajit bench/peers/peer.lua map {url} {csv}",
  },
  {
    name = "lua5.4",
    what = "LuaSocket, lua-cjson; one call at a time",
    missing = missing_lua54_peer,
    map = words "lua5.4 bench/peers/peer.lua map {url} {csv}",
  },
  {
    name = "floor",
    what = "bare C on libcurl, for this list only: what is possible",
    missing = missing_floor,
    j1 = words "{out}/floor j1 {url} {csv}",
    j2 = words "{out}/floor j2 {url} {csv} 16",
  },
  {
    name = "curl-limit",
    what = "curl -F of a ready GBK file: the transport alone",
    missing = missing_curl,
    ready_file = true,
    j1 = LIMIT,
  },
}

---The peers that can run here, in order, and a list of { name, reason } of those that cannot.
---@param out string where built peers go
---@param only table<string, boolean>? names to keep
function M.present(out, only)
  local present, absent = {}, {}
  for _, peer in ipairs(M.LIST) do
    if not only or only[peer.name] then
      local reason = peer.missing(out)
      if reason then
        absent[#absent + 1] = { peer.name, reason }
      else
        present[#present + 1] = peer
      end
    end
  end
  return present, absent
end

---The peer's words for a job, filled in.
function M.words(peer, job, values)
  local filled = {}
  for i, word in ipairs(peer[job]) do
    filled[i] = word:gsub("{(%w+)}", values)
  end
  return filled
end

return M
