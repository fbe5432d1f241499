-- SPDX-License-Identifier: MIT
-- Uploaded files are cut by rows only; calls with a JSON body are also cut by size.

local campaign = require "campaign"

local ACCOUNTS = {
  outbound = { base_url = "http://127.0.0.1:9", token = "t", abbreviate = "acme" },
  longlong = { base_url = "http://127.0.0.1:9", token = "t", user_id = "u" },
}

-- A list of 12 rows of 900,000 bytes each.
local function long_list(path, column)
  local file = assert(io.open(path, "wb"))
  file:write(column, "\n")
  for i = 1, 12 do
    file:write(i, ("x"):rep(899999 - #tostring(i)), "\n")
  end
  file:close()
end

describe("import of very long rows", function()
  local folder

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir -p " .. folder))
  end)

  after_each(function()
    os.execute("rm -rf " .. folder)
  end)

  local function plan(to, column, params)
    long_list(folder .. "/list.csv", column)
    local job = assert(campaign.plan {
      source = folder .. "/list.csv", to = to, params = params, job = folder .. "/job",
      account = ACCOUNTS[to:match("^%w+")], window = "ignore",
    })
    assert.equal(12, job.plan.rows)
    job:close()
    return job.plan.calls
  end

  it("puts them into one file, whatever its size", function()
    assert.equal(1, plan("outbound.upload_dnc_file", "uuid", { dataSourceName = "dnc" }))
  end)

  it("spreads them over calls whose bodies stay below 8 MiB", function()
    assert.equal(2, plan("longlong.import_customers_async", "phone"))
  end)
end)
