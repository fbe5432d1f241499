-- SPDX-License-Identifier: MIT
-- The folder of jobs of an nginx, by itself: what a draft becomes when the disk fails, nginx ends who orders it, or the worker dies.

local command = require "support.command"
local core = require "campaign.core"
local durable = require "campaign.durable"
local job_folder = require "campaign.openresty.job_folder"

describe("campaign.openresty.job_folder", function()
  local root

  setup(function() root = command.folder() end)
  teardown(function() command.remove(root) end)

  it("drops a draft with its order, of which nobody knows whether the disk has it", function()
    local folder = job_folder.new(root .. "/jobs-dropped", 1)
    local draft = assert(folder:draft())
    command.write(draft.list, "phone\n1\n")
    assert(folder:order(draft))
    assert.equal("queued", folder:look_at(draft.id).state)
    folder:discard(draft)
    assert.is_nil(folder:look_at(draft.id))
    assert.is_nil(folder:active()())
  end)

  it("says of a job that has begun that it runs, where no dictionary says more", function()
    local folder = job_folder.new(root .. "/jobs-begun", 1)
    local draft = assert(folder:draft())
    command.write(draft.list, "phone\n1\n")
    assert(folder:order(draft))
    assert.equal("queued", folder:status(draft.id).state)
    assert(core.system.make_dirs(folder:of(draft.id) .. "/job", 448))
    command.write(folder:of(draft.id) .. "/job/ledger.db", "")
    assert.equal("running", folder:status(draft.id).state)
  end)

  it("goes on at once with a job that waits when the clock was set back, not when it was to be", function()
    local folder = job_folder.new(root .. "/jobs-clock", 30)
    local draft = assert(folder:draft())
    command.write(draft.list, "phone\n1\n")
    assert(folder:order(draft))
    local now = core.system.now
    finally(function() core.system.now = now end)
    local function due_by(ahead)
      core.system.now = function() return now() + ahead end
      return select(2, folder:look_at(draft.id)) - core.system.now()
    end
    folder:hold(draft.id, { kind = "network", message = "away" })
    assert.is_true(due_by(0) > 25)
    assert.is_true(due_by(-50) > 25) -- two machines on one disk may differ a little
    assert.is_true(due_by(-86400) <= 0)
    core.system.now = now
    folder:let_go(draft.id)
    assert(core.system.make_dirs(folder:of(draft.id) .. "/job", 448))
    command.write(folder:of(draft.id) .. "/job/report.json", '{"state":"stopped","pending":1,"error":{"kind":"network","message":"away"}}')
    assert.is_true(due_by(0) > 25)
    assert.is_true(due_by(-86400) <= 0)
  end)

  it("keeps a draft that the disk fails to settle when somebody was told meanwhile that it is a job, and drops it else", function()
    local folder = job_folder.new(root .. "/jobs-told", 1)
    for _, is_told in ipairs{ true, false } do
      local draft = assert(folder:draft())
      command.write(draft.list, "phone\n1\n")
      assert(folder:order(draft))
      local sync = durable.folder
      durable.folder = function() return nil, { message = "the disk failed" } end
      local is_job = folder:settle_draft(draft, function() return is_told end)
      durable.folder = sync
      assert.same({ is_told, is_told }, { is_job, folder:look_at(draft.id) ~= nil })
    end
  end)

  it("makes no job of a dropped draft, though its list is written while it goes", function()
    local folder = job_folder.new(root .. "/jobs-late", 1)
    local draft = assert(folder:draft())
    local list_dir = core.system.list_dir
    function core.system.list_dir(path)
      local names = list_dir(path)
      command.run({ "sh", "-c", "echo phone >" .. draft.list }) -- by the thread that writes for whoever orders
      return names
    end
    local is_job = folder:settle_draft(draft)
    core.system.list_dir = list_dir
    assert.is_false(is_job)
    assert.is_falsy(folder:order(draft))
    assert.is_nil(folder:look_at(draft.id))
    assert.same({}, core.system.list_dir(folder.path .. "/drafts"))
  end)

  it("clears away what a crash left between an upload and its job, wherever it came, and makes no job of it", function()
    local folder = job_folder.new(root .. "/jobs-crashed", 1)
    local rename, write = os.rename, durable.write
    local function crash() error("the worker died", 0) end
    for _, stage in ipairs({ "before the order", "before the folder" }) do
      local draft = assert(folder:draft())
      command.write(draft.list, "phone\n1\n")
      if stage == "before the order" then
        durable.write = crash
      else
        os.rename = crash -- luacheck: ignore 122
      end
      local fine = pcall(folder.order, folder, draft)
      os.rename, durable.write = rename, write -- luacheck: ignore 122
      assert.is_false(fine)
      assert.is_nil(folder:look_at(draft.id))
      assert.is_nil(core.system.stat(folder:of(draft.id)))
      folder:clear_drafts()
      assert(core.system.stat(draft.list), "a young draft is left alone")
      os.execute(("find %s -exec touch -d '2 days ago' {} +"):format(folder.path))
      folder:clear_drafts()
      assert.same({ {}, {} }, { core.system.list_dir(folder.path .. "/drafts"), core.system.list_dir(folder.path .. "/active") })
      local names = core.system.list_dir(folder.path)
      table.sort(names)
      assert.same({ "active", "drafts" }, names)
    end
  end)
end)
