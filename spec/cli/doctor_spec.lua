-- SPDX-License-Identifier: MIT
-- campaign doctor: what is below us, and what is known to be bad about it.

local cjson = require "cjson"
local command = require "spec.support.command"
local doctor = require "campaign.cli.doctor"
local campaign = command.campaign

local function levels(name, version)
  local found = {}
  for _, finding in ipairs(doctor.known(name, version)) do
    found[finding.level] = (found[finding.level] or 0) + 1
  end
  return found
end

describe("campaign doctor", function()
  it("prints the versions of Lua, libcurl, TLS, lua-cjson and SQLite", function()
    local result = campaign{ "doctor" }
    assert.are.equal(0, result.code)
    assert.are.equal("", result.err)
    local curl = command.run({ "pkg-config", "--modversion", "libcurl" }).out:match("%S+")
    for _, text in ipairs{ "\nLua ", "\nlibcurl        " .. curl .. "\n", "\nTLS            OpenSSL ", "\nlua-cjson ", "\nSQLite " } do
      assert.is_truthy(result.out:find(text, 1, true), "misses:" .. text .. "in:" .. result.out)
    end
  end)

  it("gives the same as JSON", function()
    local report = cjson.decode(campaign{ "doctor", "--json" }.out)
    assert.is_true(report.healthy)
    assert.are.equal("campaign", report.components[1].name)
  end)

  it("knows the bad versions", function()
    assert.are.same({}, levels("SQLite", nil))
    assert.are.same({ warning = 1 }, levels("SQLite", "3.40.1"))
    assert.are.same({ warning = 1 }, levels("SQLite", "3.51.2"))
    assert.are.same({ warning = 1 }, levels("SQLite", "3.50.6"))
    for _, version in ipairs{ "3.6.23", "3.44.6", "3.50.7", "3.51.3", "4.0.0" } do
      assert.are.same({}, levels("SQLite", version), version)
    end
    assert.are.equal(1, levels("libcurl", "7.74.0").problem)
    assert.is_nil(levels("libcurl", "7.88.1").problem)
    assert.are.equal(2, levels("libcurl", "7.88.1").note)
    assert.are.equal(1, levels("libcurl", "8.4.0").note)
  end)

  it("tells an accounts file that others may read, with exit code 2", function()
    local folder = command.folder()
    os.execute("mkdir -p " .. folder .. "/campaign")
    local path = command.write(folder .. "/campaign/accounts.json", "{}")
    os.execute("chmod 644 " .. path)
    local result = campaign({ "doctor" }, { env = { XDG_CONFIG_HOME = folder } })
    assert.are.equal(2, result.code)
    assert.is_truthy(result.out:find("chmod 600 " .. path, 1, true))
    os.execute("chmod 600 " .. path)
    result = campaign({ "doctor" }, { env = { XDG_CONFIG_HOME = folder } })
    assert.are.equal(0, result.code)
    result = campaign({ "doctor" }, { env = { CAMPAIGN_ACCOUNTS = "", XDG_CONFIG_HOME = folder } }) -- empty is as good as not set
    assert.is_truthy(result.out:find(path, 1, true))
    command.remove(folder)
  end)

  it("tells every other reason for which the accounts file is refused, with exit code 2", function()
    local folder = command.folder()
    local function refused(path, why)
      local result = campaign({ "doctor" }, { env = { CAMPAIGN_ACCOUNTS = path } })
      assert.are.equal(2, result.code, why)
      assert.is_truthy(result.out:find(path .. ": refused: ", 1, true), result.out)
      assert.is_truthy(result.out:find(why, 1, true), result.out)
    end
    refused(folder .. "/accounts.json", "No such file")
    local path = command.write(folder .. "/accounts.json", "[]")
    os.execute("chmod 600 " .. path)
    refused(path, "is not a JSON object")
    command.write(folder .. "/empty", "")
    refused(folder .. "/empty/accounts.json", "Not a directory")
    os.execute("ln -s accounts.json " .. folder .. "/link.json")
    refused(folder .. "/link.json", "symbolic link")
    command.remove(folder)
  end)

  it("tells a library that is missing, and the package that has it", function()
    local build = os.getenv("CAMPAIGN_BUILD") or command.ROOT .. "/build"
    for library, package in pairs{ libcurl = "libcurl4", libsqlite3 = "libsqlite3-0", libxlsxwriter = "libxlsxwriter4",
      libexpat = "libexpat1" } do
      local result = campaign({ "doctor" }, { env = { LD_PRELOAD = build .. "/spec/without_library.so", WITHOUT = library } })
      assert.are.equal("", result.err)
      assert.are.equal(2, result.code)
      assert.is_truthy(result.out:find("missing: a library is missing (Debian: apt-get install " .. package .. ")", 1, true), result.out)
    end
  end)
end)
