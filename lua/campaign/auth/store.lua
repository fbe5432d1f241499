-- SPDX-License-Identifier: MIT
-- Stores the tokens of one account: one small file per set of credentials, mode 0600, replaced as a whole (temporary file, fsync, rename),
-- and a lock file beside it that all processes of the user respect. Knows nothing of OAuth.

local core = require "campaign.core"
local durable = require "campaign.durable"
local env_module = require "campaign.env"
local error_object = require "campaign.error"
local json = require "campaign.json"
local merged = require "campaign.merged"

local M = {}

local PRIVATE = 384 -- 0600
local FOLDER = 448 -- 0700
local MAX_FILE = 262144 -- two of the longest tokens (auth/oauth), even if all of their bytes are escaped

-- Seconds after which a temporary file has certainly been left by a process that died while it wrote.
local LEFT_BEHIND = 3600

local methods = {}
local mt = { __index = methods, __name = "campaign.auth.store" }

function mt.__tostring(store)
  return "campaign.auth.store " .. store.path
end

local function fail(message, cause)
  return error_object.refuse{ kind = "ledger", message = "token store: " .. message, cause = cause }
end

---The store of an account.
---@param account campaign.account
---@param env campaign.env
---@param scheme string? the name of the auth scheme, where the platform has several that keep tokens
---@return campaign.auth.store? store
---@return campaign.error? err
function M.open(account, env, scheme)
  local folder = env_module.state_dir(env)
  if not folder then
    return fail("no folder for tokens: set CAMPAIGN_STATE_DIR or HOME")
  end
  folder = folder .. "/tokens"
  local made, err = core.system.make_dirs(folder, FOLDER)
  if not made then
    return fail("cannot make " .. folder .. ": " .. tostring(err and err.message), err)
  end
  local name = (account.id .. (scheme and "." .. scheme or "")):gsub("[^%w_.#-]", "-")
  return setmetatable({ path = folder .. "/" .. name .. ".json", env = env }, mt)
end

---What was written last; nil when nothing was, or with an error when it cannot be trusted.
---@return table? state
---@return campaign.error? err
function methods:read()
  local text, err = core.system.read_file(self.path, MAX_FILE, true)
  if not text then
    if err.reason == "missing" then
      return nil
    end
    return fail(err.message, err)
  end
  local state = json.decode(text)
  if type(state) ~= "table" or state.version ~= 1 then
    return fail(self.path .. " is damaged; remove it to log in again")
  end
  return state
end

-- Removes what processes left that died while they wrote: there are tokens in it.
local function clear_left_behind(folder)
  for _, name in ipairs(core.system.list_dir(folder) or {}) do
    local path = folder .. "/" .. name
    local info = name:find("^%.campaign%-%x+%.tmp$") and core.system.stat(path, false)
    if info and core.system.now() - info.mtime > LEFT_BEHIND then
      core.system.remove(path)
    end
  end
end

---Replaces what is stored. When this returns true, it is on disk.
---@param state table texts, numbers, booleans
---@return boolean? ok
---@return campaign.error? err
function methods:write(state)
  local ok, err = durable.write(self.path, json.encode(merged(state, { version = 1 })), PRIVATE)
  if not ok then
    return fail("cannot write " .. self.path .. ": " .. tostring(err and err.message), err)
  end
  clear_left_behind(self.path:match("^(.*)/"))
  return true
end

---Takes the lock of this account, which is held while tokens are renewed. `:close()` releases it, as does the end of the process.
---@param seconds number how long to wait
---@return userdata? lock
---@return campaign.error? err
function methods:lock(seconds)
  local env, path = self.env, self.path .. ".lock"
  local lock, err = core.system.lock(path, env.yields and 0 or seconds)
  if env.yields then -- others share this thread, perhaps even the one that holds the lock
    local deadline, pause = env.monotonic() + seconds, 0.002
    while not lock and err.kind == "timeout" and env.monotonic() < deadline do
      env.sleep(pause)
      pause = math.min(pause * 2, 0.05)
      lock, err = core.system.lock(path, 0)
    end
  end
  if not lock then
    return fail("another process has been logging in for " .. seconds .. " s: " .. tostring(err and err.message), err)
  end
  return lock
end

return M
