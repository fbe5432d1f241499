-- SPDX-License-Identifier: MIT
-- A platform that wants digests of what tells people apart, and a login by a person, from its data alone, against a server that knows nothing of
-- that data.

local campaign = require "campaign"
local cjson = require "cjson"
local command = require "spec.support.command"
local core = require "campaign.core"
local hashing = require "campaign.api.hashing"
local lists = require "spec.support.lists"
local platform_files = require "spec.support.platform_files"

local PATH = "./examples/platforms/harbor.lua"
local MD5 = { algorithm = "md5" }
local MD5_1, MD5_2 = hashing.text(MD5, "13000001111"), hashing.text(MD5, "13000001112")
local UPPER = { algorithm = "sha256", output = "upper_hex" }

describe("a platform that wants digests", function()
  local server, url, folder, jobs

  before_each(function()
    folder, jobs = command.folder(), 0
    server = assert(core.system.spawn{ command.LUA == "5.4" and "lua5.4" or "luajit", "spec/support/harbor_server.lua", pipe = true })
    url = "http://127.0.0.1:" .. assert(server:read_line(30))
  end)
  after_each(function()
    server:close()
    command.remove(folder)
  end)

  local function order(query)
    local transport = require("campaign.transport.curl").new()
    local result = assert(transport:perform{ method = "GET", url = url .. "/test?" .. query })
    transport:close()
    return cjson.decode(result.body)
  end

  local function environment()
    return { CAMPAIGN_HARBOR_BASE_URL = url, CAMPAIGN_HARBOR_APP_ID = "app-1", CAMPAIGN_HARBOR_SECRET = "S-3cret",
      CAMPAIGN_HARBOR_REFRESH_TOKEN = "login-1", CAMPAIGN_STATE_DIR = folder .. "/state" }
  end

  local function run(words)
    return command.campaign(words, { env = environment() })
  end

  local function import(operation, text, ...)
    jobs = jobs + 1
    local list = command.write(("%s/list%d.csv"):format(folder, jobs), text)
    local job = ("%s/job%d"):format(folder, jobs)
    return run({ "import", list, "--to", PATH .. "." .. operation, "-p", "id=77", "--job", job, "--json", ... }), job
  end

  it("is sent digests by a call, of texts that were checked before, and shows neither of them", function()
    local result = run({ "call", PATH .. ".add_people", "-p", "id=77", "-p", "people[0].mobile=13000001111",
      "-p", "people[1].email= Wang@Example.COM " })
    assert.equal(0, result.code, result.out .. result.err)
    assert.same({ people = { { mobile = hashing.text(MD5, "13000001111") }, { email = hashing.text(UPPER, "wang@example.com") } } },
      cjson.decode(order("x=1").bodies[1]))
    result = run({ "call", PATH .. ".add_people", "-p", "id=77", "-p", "people[0].mobile=" .. hashing.text(MD5, "13000001111") })
    assert.equal(2, result.code)
    assert.matches("must be a mobile number of 11 digits", result.err, 1, true)
    local recording = folder .. "/calls"
    result = run({ "call", PATH .. ".add_people", "-p", "id=77", "-p", "people[0].mobile=13000001111", "--record", recording })
    assert.equal(0, result.code, result.err)
    local text = command.read(recording)
    for _, secret in ipairs({ "13000001111", hashing.text(MD5, "13000001111"), "harbor-token", "harbor-refresh", "S-3cret" }) do
      assert.is_nil(text:find(secret, 1, true), secret)
    end
    assert.equal(1, order("x=1").renewed)
  end)

  it("is sent digests by an import, and what it refuses by them is found in the list", function()
    local lines = { "手机号,email,oaid" }
    for i = 1, 2500 do
      lines[#lines + 1] = ("1300001%04d,%s,%s"):format(i, i % 3 == 0 and ("U%d@Example.com "):format(i) or "", i % 5 == 0 and "o-" .. i or "")
    end
    lines[#lines + 1] = "12,,"
    lines[#lines + 1] = ',"  ",'
    local digest = hashing.text(MD5, "13000010042")
    order("refuse=" .. digest)
    local result, job = import("add_people", table.concat(lines, "\n") .. "\n")
    assert.equal(7, result.code, result.out .. result.err)
    local report = cjson.decode(result.out)
    assert.same({ 2499, 3 }, { report.accepted, report.rejected })
    local people = {}
    for _, body in ipairs(order("x=1").bodies) do
      for _, person in ipairs(cjson.decode(body).people) do
        people[person.mobile] = person
      end
    end
    for i = 1, 2500 do
      local person = people[hashing.text(MD5, ("1300001%04d"):format(i))]
      assert.same({ i % 3 == 0 and hashing.text(UPPER, ("u%d@example.com"):format(i)) or nil, i % 5 == 0 and "o-" .. i or nil },
        { person.email, person.oaid })
    end
    local said = {}
    for _, reject in ipairs(lists.parse(command.read(job .. "/rejects.csv"), ",", nil)) do
      said[reject.fields[1]] = table.concat(reject.fields, "|")
    end
    assert.matches("*** is on the list", said["42"], 1, true) -- by its row
    for _, name in ipairs({ "ledger.db", "batches.jsonl", "report.json" }) do
      assert.is_nil(command.read(job .. "/" .. name):find(digest, 1, true), name)
    end
    local verified = run({ "verify", job })
    assert.equal(0, verified.code, verified.out .. verified.err)
  end)

  it("keeps its token over a login's refresh tokens, each used once", function()
    assert.equal(0, import("add_people", "mobile\n13000001111\n").code)
    order("revoke=1")
    local result = import("add_people", "mobile\n13000001112\n13000001113\n")
    assert.equal(0, result.code, result.out .. result.err)
    order("revoke=1")
    assert.equal(0, run({ "call", PATH .. ".add_people", "-p", "id=77", "-p", "people[0].mobile=13000001111" }).code)
    assert.equal(3, order("x=1").renewed)
    command.run({ "rm", "-r", folder .. "/state" }) -- the newest refresh token is lost with it
    result = run({ "call", PATH .. ".add_people", "-p", "id=77", "-p", "people[0].mobile=13000001111" })
    assert.equal(6, result.code)
    assert.matches("login needed: the refresh token was refused", result.err, 1, true)
    assert.matches("give a new `refresh_token` to the account", result.err, 1, true)
  end)

  it("takes files whose columns may be missing, of which each is described", function()
    local result = import("upload_people", "phone,SCORE\n13000001111,5\n13000001112,\n13000001113,101\n")
    assert.equal(7, result.code, result.out .. result.err)
    assert.equal(("MOBILE_MD5,CITY,SCORE\n%s,,5\n%s,,\n"):format(MD5_1, MD5_2), order("x=1").bodies[1])
    result = import("upload_people", "CITY,phone\n上海,13000001111\n,13000001112\n一二三四五六七八九,13000001113\n")
    assert.equal(7, result.code, result.out .. result.err)
    assert.equal(("MOBILE_MD5,CITY,SCORE\n%s,上海,\n%s,,\n"):format(MD5_1, MD5_2), order("x=1").bodies[2])
    result = import("upload_people", "CITY\n上海\n")
    assert.equal(2, result.code)
    assert.matches('no column for \\"MOBILE_MD5\\"', result.out .. result.err, 1, true)
    local shown = import("upload_people", "phone\n13000001111\n", "--dry-run")
    assert.is_nil((shown.out .. shown.err):find("13000001111", 1, true))
  end)

  it("is described: what is hashed how, and which columns may be missing", function()
    local text = command.campaign({ "describe", PATH, "--format", "markdown" }).out
    assert.matches("sent as its SHA-256 in upper-case hex (of the text without blanks around it, in lower case)", text, 1, true)
    assert.matches("`CITY` (may be missing; at most 8 characters)", text, 1, true)
    assert.equal(0, command.campaign({ "describe", PATH, "--format", "types" }).code)
    local person = cjson.decode(command.campaign({ "openapi", PATH }).out).components.schemas.Person.properties
    assert.equal("^[0-9a-f]{32}$", person.mobile.pattern)
    assert.equal("^[0-9A-F]{64}$", person.email.pattern)
    assert.is_nil(person.email.maxLength)
  end)

  it("is checked when the file is read", function()
    platform_files.assert_refused(PATH, folder, {
      { '{ name = "oaid", any_of = "who",', '{ name = "oaid", type = "integer", hash = "md5", any_of = "who",', "hash: belongs to texts" },
      { 'hash = "md5", source = ":31"', 'hash = "crc", source = ":31"', "hash: must be one of md5, sha256" },
      { 'hash = { algorithm = "sha256", output', 'hash = { output', "hash: `algorithm` is missing" },
      { '{ name = "CITY", max_length = 8,', '{ name = "CITY", where = "form", max_length = 8,', "columns[CITY]: is one value of a row" },
      { '{ name = "CITY", max_length = 8,', '{ name = "CITY", max_length = 8, min_length = 9,', "columns[CITY].min_length: is over `max_length`" },
      { '{ name = "CITY", max_length = 8,', '{ nam = "CITY",', "unknown key `nam`" },
      { 'field = "people", shape = "object",', 'field = "people", shape = "object", mark = "mobile",', "`mobile` is hashed: our mark" },
    })
  end)

  it("is connected to by a script, too", function()
    local env = setmetatable({ getenv = function(name) return environment()[name] end }, { __index = require("campaign.env").default() })
    local client = assert(campaign.connect(PATH, nil, { env = env }))
    assert(client:add_people{ id = 77, people = { { oaid = "o-1" } } })
    client:close()
  end)
end)
