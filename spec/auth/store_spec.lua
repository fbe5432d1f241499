-- SPDX-License-Identifier: MIT
local command = require "support.command"
local core = require "campaign.core"
local env_module = require "campaign.env"
local fake = require "support.fake"
local store_module = require "campaign.auth.store"

local ACCOUNT = { id = "hypers/main#0123456789ab" }

describe("auth.store", function()
  local folder, env
  before_each(function()
    folder = command.folder()
    env = fake.env{ CAMPAIGN_STATE_DIR = folder .. "/state" }
  end)
  after_each(function() command.remove(folder) end)

  it("gives back what was written, also to another process", function()
    local store = assert(store_module.open(ACCOUNT, env))
    assert.is_nil((store:read()))
    assert(store:write{ access_token = "a", expires_at = 7.5 })
    assert.same({ version = 1, access_token = "a", expires_at = 7.5 }, (assert(store_module.open(ACCOUNT, env)):read()))
  end)

  it("keeps folder and files to their owner whatever the umask is", function()
    local store = assert(store_module.open(ACCOUNT, env))
    assert(store:write{ access_token = "a" })
    assert(store:lock(1)):close()
    assert.equal(448, core.system.stat(folder .. "/state/tokens").mode)
    assert.equal(384, core.system.stat(store.path).mode)
    assert.equal(384, core.system.stat(store.path .. ".lock").mode)
  end)

  it("keeps accounts apart and their names out of paths", function()
    local one = assert(store_module.open({ id = "hypers/../../x#1" }, env))
    assert.equal(folder .. "/state/tokens/hypers-..-..-x#1.json", one.path)
    local other = assert(store_module.open({ id = "hypers/y#2" }, env))
    assert(one:write{ access_token = "a" })
    assert.is_nil((other:read()))
  end)

  it("refuses a file that others can read, that is damaged, or that is a link", function()
    local store = assert(store_module.open(ACCOUNT, env))
    assert(store:write{ access_token = "canary" })
    os.execute("chmod 644 '" .. store.path .. "'")
    local state, err = store:read()
    assert.is_nil(state)
    assert.equal("ledger", err.kind)
    for _, text in ipairs{ "", "{", "[]", "7", '{"version":2}', '{"access_token":"canary"' } do
      assert(core.system.write_atomic(store.path, text))
      state, err = store:read()
      assert.is_nil(state)
      assert.equal("ledger", err.kind)
      assert.is_nil(tostring(err):find("canary", 1, true))
    end
    os.execute("mv '" .. store.path .. "' '" .. folder .. "/elsewhere' && ln -s '" .. folder .. "/elsewhere' '" .. store.path .. "'")
    assert.is_nil((store:read()))
  end)

  it("removes what processes left that were killed while they wrote", function()
    local store = assert(store_module.open(ACCOUNT, env))
    local tokens = folder .. "/state/tokens"
    for name, hours in pairs{ [".campaign-00ff00ff00ff00ff.tmp"] = 2, [".campaign-11ff00ff00ff00ff.tmp"] = 0, ["mine.tmp"] = 2 } do
      assert(core.system.write_atomic(tokens .. "/" .. name, "{}"))
      os.execute(("touch -d '%d hours ago' %s/%s"):format(hours, tokens, name))
    end
    assert(store:write{ access_token = "a" })
    local names = core.system.list_dir(tokens)
    table.sort(names)
    assert.same({ ".campaign-11ff00ff00ff00ff.tmp", "hypers-main#0123456789ab.json", "mine.tmp" }, names)
  end)

  it("locks: a second one waits in vain while the first holds it", function()
    local store = assert(store_module.open(ACCOUNT, env))
    local lock = assert(store:lock(1))
    local second, err = assert(store_module.open(ACCOUNT, env)):lock(0.05)
    assert.is_nil(second)
    assert.equal("ledger", err.kind)
    lock:close()
    assert(store:lock(0.05)):close()
  end)

  it("says so when there is no place to write", function()
    local store, err = store_module.open(ACCOUNT, fake.env{})
    assert.is_nil(store)
    assert.equal("ledger", err.kind)
    assert(core.system.write_atomic(folder .. "/file", "x"))
    store, err = store_module.open(ACCOUNT, fake.env{ CAMPAIGN_STATE_DIR = folder .. "/file" })
    assert.is_nil(store)
    assert.equal("ledger", err.kind)
  end)

  it("finds its place by XDG_STATE_HOME, else HOME", function()
    assert.equal("/x/campaign", env_module.state_dir(fake.env{ XDG_STATE_HOME = "/x", HOME = "/h" }))
    assert.equal("/h/.local/state/campaign", env_module.state_dir(fake.env{ HOME = "/h", CAMPAIGN_STATE_DIR = "" }))
  end)
end)
