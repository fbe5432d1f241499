-- SPDX-License-Identifier: MIT
-- Demands on several fields of a row: one of them is filled, or the one that another field names.

local core = require "campaign.core"
local lists = require "support.lists"

local function pass(text, demands)
  local input = assert(core.rows.input{ path = lists.file(text) })
  local encoder = assert(core.rows.encoder{
    format = "json", prefix = "[", suffix = "]", columns = 4, demands = demands,
    fields = { { name = "by", column = 1 }, { name = "phone", column = 2 }, { name = "openid", column = 3 } },
  })
  local run = assert(core.rows.preflight(input, encoder, {}))
  local rejects, bodies = {}, {}
  while true do
    local step, err = run:step()
    assert(err == nil, tostring(err))
    if not step then
      break
    end
    for _, reject in ipairs(step.rejects) do
      rejects[#rejects + 1] = reject
    end
    for _, batch in ipairs(step.batches) do
      bodies[#bodies + 1] = assert(encoder:text(input, batch))
    end
  end
  run:close()
  encoder:close()
  input:close()
  return rejects, table.concat(bodies)
end

local FIELDS = { { name = "phone", column = 2 }, { name = "openid", column = 3 } }
local HEADER = "by,phone,openid,note\n"

describe("core.rows demands", function()
  teardown(lists.clean)

  it("reject a row in which none of several fields is filled", function()
    local rejects, body = pass(HEADER .. "x,1,,n\nx,,2,n\nx,,,n\nx,3,4,n\n", { { fields = FIELDS } })
    assert.equal(1, #rejects)
    assert.equal(3, rejects[1].row)
    assert.equal("required", rejects[1].reason)
    assert.equal("phone or openid", rejects[1].name)
    assert.matches("phone or openid", rejects[1].message, 1, true)
    assert.equal('[{"by":"x","phone":"1"},{"by":"x","openid":"2"},{"by":"x","phone":"3","openid":"4"}]', body)
  end)

  it("reject a row that leaves the field empty which it names", function()
    local rejects, body = pass(HEADER .. "phone,1,,n\nopenid,1,,n\nphone,,2,n\nopenid,,2,n\n", { { by = 1, fields = FIELDS } })
    assert.equal(2, #rejects)
    assert.same({ 2, 3 }, { rejects[1].row, rejects[2].row })
    assert.equal("openid", rejects[1].name)
    assert.equal(3, rejects[1].column)
    assert.equal('[{"by":"phone","phone":"1"},{"by":"openid","openid":"2"}]', body)
  end)

  it("reject a row that names a field which nothing fills, and leave an empty name to its own rule", function()
    local rejects = pass(HEADER .. "unionid,1,2,n\n,1,2,n\nphon,1,2,n\n", { { by = 1, fields = FIELDS } })
    assert.equal(2, #rejects)
    assert.same({ 1, 3 }, { rejects[1].row, rejects[2].row })
    assert.equal(1, rejects[1].column)
  end)

  it("take a constant for a filled field", function()
    local rejects = pass(HEADER .. "phone,,,n\nopenid,,,n\n", { { by = 1, fields = { { name = "phone" }, FIELDS[2] } } })
    assert.equal(1, #rejects)
    assert.equal(2, rejects[1].row)
  end)

  it("are refused when they ask for a column or a key that is not there", function()
    local function encoder(demands)
      return core.rows.encoder{ format = "json", columns = 2, fields = { { name = "a", column = 1 } }, demands = demands }
    end
    for _, demands in ipairs({ { { fields = { { name = "a", column = 3 } } } }, { { by = 3, fields = FIELDS } }, { { fields = {} } } }) do
      local made, err = encoder(demands)
      assert.is_nil(made)
      assert.equal("usage", err.kind)
    end
    assert.has_error(function()
      encoder({ { fields = FIELDS, any = true } })
    end)
    assert.has_error(function()
      encoder({ {} })
    end)
  end)
end)
