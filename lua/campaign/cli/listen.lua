-- SPDX-License-Identifier: MIT
-- `campaign listen`: receives a platform's callbacks into a folder until a signal comes. bin/campaign runs it on a Lua that has lua-http.

local callback = require "campaign.callback"
local core = require "campaign.core"
local error_object = require "campaign.error"
local notes = require "campaign.callback.notes"
local output = require "campaign.cli.output"
local serving = require "campaign.cli.serving"

local M = {}

local PRIVATE = 384 -- 0600

-- The secret of the file; a file that is not there is made, with a new secret.
local function secret_of(path)
  local function fail(kind, err)
    return error_object.refuse{
      kind = kind, message = "--path-secret-file " .. path .. ": " .. tostring(err.message),
    }
  end
  local text, err = core.system.read_file(path, 4096, true)
  if text then
    return (text:gsub("%s+$", ""))
  end
  if err.reason ~= "missing" then
    return fail("usage", err)
  end
  local secret = callback.new_secret()
  local ok
  ok, err = core.system.write_atomic(path, secret .. "\n", PRIVATE)
  if not ok then
    return fail("ledger", err)
  end
  return secret
end

function M.run(given)
  local refusal = serving.refusal(given, "`campaign listen`")
  if refusal then
    return refusal
  end
  local secret, err = secret_of(given.path_secret_file)
  local receiver
  if secret then
    receiver, err = callback.new{ platform = given.platform, secret = secret, store = given.store }
  end
  if not receiver then
    return output.fail(err, given)
  end
  core.console.ignore("PIPE") -- a reader of our output that ends must not kill the receiver
  local note = notes.new(function(line) io.stderr:write("campaign listen: ", line, "\n") end, core.system.monotonic)
  local well, problem = require("campaign.callback.server").run(receiver, {
    address = given.address, port = given.port,
    ready = function(address, port)
      io.stdout:write(("listening on http://%s:%d/ and the secret of %s\n"):format(address, port, given.path_secret_file))
      io.stdout:flush()
    end,
    tell = function(status, kind)
      if kind and kind ~= "first" then
        note(("%s (%d)"):format(kind, status))
      end
    end,
    note = note,
  })
  if not well then
    return output.fail(("cannot listen on %s port %d: %s"):format(given.address or "127.0.0.1", given.port or 0, tostring(problem)), given)
  end
  return 0
end

return M
