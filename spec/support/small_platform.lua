-- SPDX-License-Identifier: MIT
-- A small platform of data as a user might write it, for specs that change one thing in it and see what the loader says.

local assert = require "luassert"
local platforms = require "campaign.api.platform"

local M = {}

---A new table of the platform, with one operation that takes rows.
function M.new()
  return {
    name = "small", title = "Small", doc = "d", source = "s.txt", zone = "+08:00",
    account = { { name = "base_url", required = true, type = "url", doc = "d" }, { name = "token", secret = true, doc = "d" } },
    auth = { bearer = { kind = "bearer", key = "token" } },
    enums = { colour = { { "red", "red" }, { "blue" } } },
    types = { Row = { fields = { { name = "id", type = "int64" }, { name = "colour", enum = "colour" } } } },
    windows = { night = { from = "22:00:00", to = "06:00:00" } },
    operations = {
      {
        name = "send", doc = "d", source = ":3", method = "POST", path = "/v1/{who}/send", auth = "bearer", body = "json",
        response = "json", effect = "append", window = "night",
        fields = {
          { name = "who", where = "path", required = true },
          { name = "rows", where = "json", type = "array", items = "Row", required = true },
        },
        reply = "Row",
        rows = { field = "rows", shape = "object", type = "Row" },
      },
    },
  }
end

---Loads the platform, changed by `change(raw, operation)`, which must be refused.
---@return string message
---@return campaign.error err
function M.refused(change)
  local raw = M.new()
  change(raw, raw.operations[1])
  local platform, err = platforms.from_table(raw, "small.lua")
  assert.is_nil(platform)
  assert.equal("usage", err.kind)
  return err.message, err
end

return M
