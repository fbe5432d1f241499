-- SPDX-License-Identifier: MIT
-- The sandbox's replies as plain tables: { status, headers = { { name, value }, ... }, body = text } or { status, headers, path = file }.
-- `value` keeps the body's value beside its text, so that a fault can send the same reply with wrong types. The host writes the bytes to
-- the socket.

local json = require "campaign.sandbox.json"

local M = {}

---A JSON reply.
---@param status integer
---@param value any
---@param headers? table
function M.json(status, value, headers)
  local reply = { status = status, headers = headers or {}, value = value }
  table.insert(reply.headers, 1, { "content-type", "application/json;charset=UTF-8" })
  reply.body = json.encode(value)
  return reply
end

---A reply from a file on disk.
---@param path string
---@param bytes integer
---@param headers table
function M.file(path, bytes, headers)
  return { status = 200, headers = headers, path = path, bytes = bytes }
end

-- The value with every field of its top level of another type: for the fault `wrong-type`.
local function twisted(value)
  if not json.is_ordered(value) then
    return "unexpected"
  end
  local twist = json.ordered()
  for _, key in ipairs(value.keys) do
    local field = value.values[key]
    if type(field) == "table" then
      json.put(twist, key, "unexpected")
    elseif type(field) == "boolean" then
      json.put(twist, key, 1)
    else
      json.put(twist, key, json.array{ true })
    end
  end
  return twist
end

---The reply as a fault wants it; the transport part is left to the host as `reply.cut` and the like.
---@param reply table
---@param fault table from faults.lua, when = "after"
function M.with_fault(reply, fault)
  local kind = fault.kind
  if kind == "after-commit-close" or kind == "lost-refresh-reply" then
    return { drop = "close" }
  elseif kind == "after-commit-reset" then
    return { drop = "reset" }
  elseif kind == "bad-json" then
    return { status = reply.status, headers = reply.headers, body = '{"code":200,"msg":"succ' }
  elseif kind == "wrong-type" then
    return M.json(reply.status, twisted(reply.value))
  elseif kind == "truncate-body" then
    reply.cut = "short"
  elseif kind == "wrong-length" then
    reply.cut = "wrong-length"
  end
  return reply
end

return M
