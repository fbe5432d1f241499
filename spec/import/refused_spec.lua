-- SPDX-License-Identifier: MIT
-- Which rows of a batch an answer refuses, found among those that were sent.

local refused = require "campaign.import.report.refused"

describe("import.refused", function()
  local sent = {
    { phone = "1", groups = "a" }, { phone = "2", groups = "a" }, { phone = "1", groups = "a" }, { phone = "3", groups = "b", thirdId = "x" },
  }

  local function match(rows, list, known, how)
    how = how or { list = "." }
    return refused.match(how, rows, assert(refused.read(how, list, #rows)), known)
  end

  it("finds the rows that came back, with keys in any order and absent ones as null or empty", function()
    assert.same({ 2, 4 }, (match(sent, { { thirdId = "x", groups = "b", phone = "3" }, { groups = "a", phone = "2", thirdId = "" } })))
  end)

  it("F13 client counts equal rows as a multiset", function()
    assert.same({ 1 }, (match(sent, { sent[1] })))
    assert.same({ 1, 3 }, (match(sent, { sent[1], sent[3] })))
    assert.is_nil(match(sent, { sent[1], sent[1], sent[1] }))
  end)

  it("takes the rows of an entry that names several by their values, each once", function()
    local how = { list = ".", value = "ids", field = "phone", reason = "why" }
    local list = { { ids = { "2", "3" }, why = "gone" }, { ids = "1", why = "blocked" } }
    assert.equal(3, refused.count(how, list, 4))
    local found, by_position = match({ sent[1], sent[2], sent[4] }, list, nil, how)
    assert.same({ 1, 2, 3 }, found)
    assert.same({ "blocked", "gone", "gone" }, { by_position[1].message, by_position[2].message, by_position[3].message })
    local refusals, why = refused.read(how, { { ids = {}, why = "gone" } }, 4)
    assert.is_nil(refusals)
    assert.matches("entry 1 of its refused rows has no `ids`", why, 1, true)
    assert.equal(1, refused.count(how, { { ids = {} } }, 4))
  end)

  it("leaves out the entries of accepted rows, where there is one for each row", function()
    local how = { list = ".", in_order = true, unless = { path = "code", is = { "Ok", "Queued" } }, code = "code" }
    local list = { { code = "Ok" }, { code = "Blocked" }, { code = "Queued" }, {} }
    assert.equal(2, (refused.count(how, list, 4)))
    local refusals = assert(refused.read(how, list, 4))
    assert.same({ 2, 4 }, { refusals[1].position, refusals[2].position })
    assert.equal("Blocked", refusals[1].code)
    how.unless.or_absent = true
    assert.equal(1, (refused.count(how, list, 4)))
    local _, why = refused.count(how, { { code = "Ok" } }, 4)
    assert.equal("it has entries for 1 of 4 rows", why)
  end)

  it("refuses a row that was not sent, and one with a value we did not send", function()
    local found, why = match(sent, { { phone = "9", groups = "a" } })
    assert.is_nil(found)
    assert.matches("1 of the 1 rows", why, 1, true)
    assert.is_nil(match({ { phone = "1" } }, { { phone = "1", openid = "o" } }, { "phone", "openid" }))
    assert.is_nil(match(sent, { "text" }))
  end)

  it("keeps numbers, texts and borders between values apart", function()
    assert.same({ 1 }, (match({ { a = 1 } }, { { a = "1" } })))
    assert.is_nil(match({ { a = "1:x", b = "" } }, { { a = "1", b = "x" } }))
    assert.same({ 1 }, (match({ { a = { b = { "c" } } } }, { { a = { b = { "c" } } } })))
    assert.is_nil(match({ { a = { b = { "c" } } } }, { { a = { b = { "d" } } } }))
  end)

  it("ignores the platform's own keys in a row that came back, and keeps its words", function()
    local back = { phone = "2", groups = "a", reason = "is\nblocked", no = 17 }
    local how = { list = ".", reason = "reason", code = "no" }
    local positions, said = match(sent, { back }, nil, how)
    assert.same({ 2 }, positions)
    assert.equal("is blocked", said[2].message)
    assert.equal("17", said[2].code)
    back.reason, back.no = " \n", "E\n17"
    said = select(2, match(sent, { back }, nil, how))
    assert.same({ nil, "E 17" }, { said[2].message, said[2].code })
  end)

  describe("by the value of a field", function()
    local how = { list = ".", value = "mobile", field = "phone", reason = "why" }

    it("finds them, with the words for each", function()
      local positions, said = match(sent, { { mobile = 3, why = "c" }, { mobile = "2", why = "b" } }, nil, how)
      assert.same({ 2, 4 }, positions)
      assert.equal("b", said[2].message)
      assert.equal("c", said[4].message)
    end)

    it("takes the first of rows that are equal in everything, and refuses to guess among others", function()
      assert.same({ 1 }, (match(sent, { { mobile = "1" } }, nil, how)))
      local differing = { { phone = "1", groups = "a" }, { phone = "1", groups = "b" } }
      local found, why = match(differing, { { mobile = "1" } }, nil, how)
      assert.is_nil(found)
      assert.matches("share their `phone`", why, 1, true)
      assert.same({ 1, 2 }, (match(differing, { { mobile = "1" }, { mobile = "1" } }, nil, how)))
    end)

    it("refuses values that were not sent, more of one than were sent, and entries without one", function()
      assert.is_nil(match(sent, { { mobile = "9" } }, nil, how))
      assert.is_nil(match(sent, { { mobile = "2" }, { mobile = "2" } }, nil, how))
      for _, entry in ipairs({ {}, { mobile = "" }, { mobile = {} }, "2" }) do
        assert.is_nil(refused.read(how, { entry }, 4))
      end
    end)

    it("finds rows that are one value each", function()
      assert.same({ 2 }, (match({ "a", "b", "c" }, { "b" }, nil, { list = ".", value = "." })))
      assert.same({ 2 }, (match({ "a", "b", "c" }, { "b" })))
    end)
  end)
end)
