-- SPDX-License-Identifier: MIT
local later = require "campaign.later"

describe("later", function()
  local loaded

  before_each(function()
    loaded = 0
    package.preload["spec.put_off"] = function()
      loaded = loaded + 1
      return { add = function(a, b) return a + b end }
    end
  end)

  after_each(function()
    package.preload["spec.put_off"], package.loaded["spec.put_off"] = nil, nil
  end)

  it("loads a module when something in it is asked for, and once", function()
    local module = later.module "spec.put_off"
    assert.equal(0, loaded)
    assert.equal(3, module.add(1, 2))
    assert.equal(5, module.add(2, 3))
    assert.equal(1, loaded)
    assert.equal(require("spec.put_off").add, module.add)
  end)

  it("knows nothing that the module does not have", function()
    assert.is_nil(later.module("spec.put_off").subtract)
  end)

  it("loads everything that was put off when it is told to", function()
    later.module "spec.put_off"
    later.load_all()
    assert.equal(1, loaded)
  end)
end)
