-- SPDX-License-Identifier: MIT
-- The sandbox's HYPERS files, rule by rule, over real HTTP.

local core = require "campaign.core"
local h = require "sandbox.helper"

local json, rule = h.json, h.rules(it)
local array = json.array

describe("sandbox hypers files", function()
  local FILE = "/api/v1/file"
  local authorization

  local function login()
    local account = h.accounts.hypers
    local client = core.digest.base64_encode(account.client_id .. ":" .. account.client_secret)
    local answer = h.post("/oauth/token", { Authorization = "Basic " .. client }, {
      grant_type = "password", username = account.username, password = account.password,
    })
    authorization = { Authorization = "Bearer " .. answer.json.access_token }
  end

  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function upload(content, filename, module_name, path)
    login()
    local parts = {}
    if content then
      parts[1] = { "file", content, filename or "report.pdf", "application/octet-stream" }
    end
    if module_name ~= false then
      parts[#parts + 1] = { "moduleName", module_name or "notification" }
    end
    return h.form(path or FILE, authorization, parts)
  end

  local function accepted(answer)
    assert.equal(200, answer.status, answer.body)
    return answer.json
  end

  local function refused(answer, field)
    assert.equal(400, answer.status, answer.body)
    assert.equal(field, answer.json.errors[1].field)
  end

  local function download(id, headers)
    return h.get(FILE .. "/" .. id, headers)
  end

  rule("R234", "serves /api/file and /api/file/{id} as aliases", function()
    local made = accepted(upload("abc", nil, nil, "/api/file"))
    assert.equal("abc", h.get("/api/file/" .. made.id).body)
  end)

  rule("R236", "refuses an empty file and an empty name, and takes any type", function()
    refused(upload(""), "file")
    refused(upload("x", "dir/"), "file")
    accepted(upload("\0\255", "strange.xyz"))
  end)

  rule("R237", "wants a moduleName of 1 to 50 letters, digits or underscores", function()
    accepted(upload("x", nil, ("a_1Z"):rep(12) .. "ab"))
    refused(upload("x", nil, ("a"):rep(51)), "moduleName")
    refused(upload("x", nil, "a-b"), "moduleName")
    refused(upload("x", nil, ""), "moduleName")
    refused(upload("x", nil, false), "moduleName")
  end)

  rule("R238", "refuses a request without a file", function()
    refused(upload(false), "file")
  end)

  rule("R239", "answers id, fileName, signature, fileSize and createTime", function()
    local made = accepted(upload("abc"))
    assert.equal("report.pdf", made.fileName)
    assert.equal(3, made.fileSize)
    assert.truthy(made.id and made.signature and made.createTime)
  end)

  rule("R240", "signs with the SHA-256 of the content", function()
    local made = accepted(upload("abc"))
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", made.signature)
  end)

  rule("R242", "keeps the full original name without directories", function()
    assert.equal("海报.png", accepted(upload("x", "C:\\tmp\\海报.png")).fileName)
    assert.equal("a.tar.gz", accepted(upload("x", "../../etc/a.tar.gz")).fileName)
  end)

  rule("R243", "takes any legal moduleName", function()
    accepted(upload("x", nil, "marketing"))
  end)

  rule("R244", "says createTime in epoch milliseconds", function()
    assert.equal(1762740000000, accepted(upload("x")).createTime)
  end)

  rule("R245", "gives two ids and one signature to the same content", function()
    local one, two = accepted(upload("same")), accepted(upload("same"))
    assert.are_not.equal(one.id, two.id)
    assert.equal(one.signature, two.signature)
  end)

  rule("R246", "needs no token for a download and answers alike with one", function()
    local id = accepted(upload("abc")).id
    assert.equal("abc", download(id).body)
    assert.equal("abc", download(id, { Authorization = "Bearer wrong" }).body)
  end)

  rule("R248", "refuses ids that are no positive integer and answers 404 to unknown ones", function()
    for _, id in ipairs{ "0", "-1", "abc" } do
      assert.equal(400, download(id).status)
    end
    assert.equal(404, download("999999").status)
  end)

  rule("R249", "answers the bytes unchanged with a type by the file's name", function()
    local bytes = "\137PNG\r\n\26\n\0\255"
    local answer = download(accepted(upload(bytes, "a.PNG")).id)
    assert.equal(bytes, answer.body)
    assert.equal("image/png", answer.headers["content-type"])
    assert.equal("application/pdf", download(accepted(upload("x", "a.pdf")).id).headers["content-type"])
  end)

  rule("R250", "gives the original name in Content-Disposition", function()
    local answer = download(accepted(upload("x", "report.pdf")).id)
    assert.equal('inline; filename="report.pdf"', answer.headers["content-disposition"])
    answer = download(accepted(upload("x", 'a\\"b.pdf')).id)
    assert.equal("inline; filename=\"a_b.pdf\"; filename*=UTF-8''a%22b.pdf", answer.headers["content-disposition"])
  end)

  rule("R251", "lets downloads be kept for a year", function()
    assert.equal("public, max-age=31536000", download(accepted(upload("x")).id).headers["cache-control"])
  end)

  rule("R252", "says Content-Length and Last-Modified as size and time of the upload", function()
    local answer = download(accepted(upload("abc")).id)
    assert.equal("3", answer.headers["content-length"])
    assert.equal("Mon, 10 Nov 2025 02:00:00 GMT", answer.headers["last-modified"])
  end)

  rule("R255", "adds filename* for a name outside ASCII", function()
    local value = download(accepted(upload("x", "海报.png")).id).headers["content-disposition"]
    assert.truthy(value:find("filename*=UTF-8''%E6%B5%B7%E6%8A%A5.png", 1, true), value)
  end)

  it("refuses a file name that is not UTF-8, which no JSON can say", function()
    h.reset()
    refused(upload("x", "\177\168\184\230.pdf"), "file")
    assert.equal(0, #h.commits("upload_file"))
  end)

  it("needs a token for an upload", function()
    h.reset()
    assert.equal(401, h.form(FILE, {}, { { "file", "x", "a.txt" }, { "moduleName", "n" } }).status)
  end)

  it("cuts a download short, or says a length five bytes too small, on order", function()
    h.reset()
    local content = ("0123456789"):rep(20000)
    local id = accepted(upload(content, "large.bin")).id
    h.faults("download_file:truncate-body@1", "download_file:wrong-length@2")
    local message = tostring(download(id).error)
    assert.truthy(message:find("100000 bytes", 1, true), message) -- "remaining" or "missing", as the version of libcurl says
    assert.equal(content:sub(1, -6), download(id).body)
    assert.equal(content, download(id).body)
  end)

  it("carries files larger than a piece of the wire", function()
    h.reset()
    local bytes = {}
    for i = 0, 255 do
      bytes[i + 1] = string.char(i)
    end
    local content = table.concat(bytes):rep(4096)
    local made = accepted(upload(content, "large.bin"))
    assert.equal(1048576, made.fileSize)
    assert.equal(core.digest.sha256(content), made.signature)
    assert.is_true(download(made.id).body == content)
  end)

  it("deletes its files at a reset", function()
    h.reset()
    local id = accepted(upload("x")).id
    h.control("reset", {})
    assert.equal(404, download(id).status)
  end)

  -- Members from files --------------------------------------------------------------------------

  local sheet = require "campaign.sandbox.sheet"

  local function create(content, text, filename)
    local id = accepted(upload(content, filename or "members.xlsx")).id
    return h.post("/api/v1/notification-tasks", authorization, {
      taskName = "x", taskType = "APPOINTMENT_REMINDER", scheduledStartTime = "2025-11-10 12:00:00",
      contents = array{ { contentType = "TEXT", contentValue = text } }, fileIds = array{ id },
    })
  end

  local MEMBERS = { { "userId", "nickname", "name" }, { "u1", "nick", "张三" }, { "u2", "", "李四" } }

  rule("R191", "wants an .xlsx with column names in its first row", function()
    assert.equal(400, create("userId\nu1\n", "hi").status)
    assert.equal(400, create(sheet.write{}, "hi").status)
  end)

  rule("R186", "wants every variable and an identity among the columns", function()
    accepted(create(sheet.write(MEMBERS), "Dear {{name}}"))
    assert.equal(400, create(sheet.write(MEMBERS), "Dear {{shop}}").status)
    assert.equal(400, create(sheet.write{ { "name" }, { "x" } }, "Dear {{name}}").status)
  end)

  rule("R190", "counts the data rows of the files", function()
    assert.equal(2, accepted(create(sheet.write(MEMBERS), "Dear {{name}}")).totalMembers)
  end)

  it("R281 sandbox takes a memberId from a file only if it is an id", function()
    for text, taken in pairs{ ["5"] = true, ["9223372036854775807"] = true, ["007"] = false, ["0"] = false, ["9223372036854775808"] = false,
      ["x"] = false } do
      h.reset()
      local id = accepted(create(sheet.write{ { "memberId" }, { text } }, "hi")).id
      local answer = h.get("/api/v1/notification-tasks/" .. id .. "/executions", authorization)
      assert.equal(200, answer.status)
      assert.equal(taken, answer.body:find('"memberId":' .. text .. ",", 1, true) ~= nil, answer.body)
    end
  end)

  it("shows a file's members in the executions", function()
    h.reset()
    local id = accepted(create(sheet.write(MEMBERS), "Dear {{name}}")).id
    local rows = h.get("/api/v1/notification-tasks/" .. id .. "/executions", authorization).json.records
    assert.equal("nick", rows[1].memberName)
    assert.equal("u2", rows[2].memberName)
  end)
end)
