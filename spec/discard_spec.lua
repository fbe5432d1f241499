-- SPDX-License-Identifier: MIT
-- What an earlier run left and the next one makes anew: it is known to be gone, or the run that would add to it does not begin.

local command = require "support.command"
local core = require "campaign.core"
local discard = require "campaign.discard"
local listing = require "campaign.import.report.listing"

describe("what an earlier run left", function()
  local folder, stuck

  before_each(function()
    folder = command.folder()
    stuck = folder .. "/stuck.csv" -- cannot be removed as a file, by nobody
    assert(core.system.make_dirs(stuck))
    command.write(stuck .. "/inside", "x")
  end)
  after_each(function() command.remove(folder) end)

  it("goes, and nothing to remove is as good", function()
    command.write(folder .. "/a", "x")
    assert.is_true(discard.file(folder .. "/a"))
    assert.is_nil(core.system.stat(folder .. "/a"))
    assert.is_true(discard.file(folder .. "/a"))
  end)

  it("is told when it stays", function()
    local ok, err = discard.file(stuck)
    assert.is_nil(ok)
    assert.matches("stuck.csv", err.message, 1, true)
    assert.truthy(core.system.stat(stuck .. "/inside"))
  end)

  it("is not added to when it is a list of rows: they would stand there twice", function()
    local list = listing.new(stuck, { "phone" })
    local ok, err = list:rewind(0, 0)
    assert.is_nil(ok)
    assert.equal("ledger", err.kind)
    assert.is_true(listing.new(folder .. "/none.csv", { "phone" }):rewind(0, 0))
  end)

  it("goes with all that is in it when it is a folder, and not with what its links lead to", function()
    local root = folder .. "/scratch"
    assert(core.system.make_dirs(root .. "/plan/deeper"))
    command.write(root .. "/plan/deeper/rows", "x")
    command.write(root .. "/salvage.db", "x")
    command.write(folder .. "/mine", "x")
    assert.equal(0, command.run({ "ln", "-s", folder .. "/stuck.csv", root .. "/plan/link" }).code)
    discard.folder(root)
    assert.is_nil(core.system.stat(root))
    assert.truthy(core.system.stat(stuck .. "/inside"))
    discard.folder(root)
  end)

  it("goes as the link that stands in its place, not with what that leads to", function()
    assert.equal(0, command.run({ "ln", "-s", stuck, folder .. "/scratch" }).code)
    discard.folder(folder .. "/scratch")
    assert.is_nil(core.system.stat(folder .. "/scratch", false))
    assert.truthy(core.system.stat(stuck .. "/inside"))
  end)

  it("stays when a file of somebody's stands in the folder's place", function()
    discard.folder(stuck .. "/inside")
    assert.truthy(core.system.stat(stuck .. "/inside"))
  end)
end)
