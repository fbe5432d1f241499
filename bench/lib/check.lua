-- SPDX-License-Identifier: MIT
-- Judges what a peer sent. The sink kept every body as a file; here they are taken apart with
-- nothing of the project's own (this file's CSV and multipart readers, the system's iconv,
-- lua-cjson) and compared with the list, row by row, so that nobody is quick because it does less.

local cjson = require "cjson"
local shell = require "shell"

local M = {}

M.COLUMNS = { "uuid", "name", "phone", "email", "company", "sex", "grade", "groups", "note" }

---Records of a CSV text as lists of fields; strict about quotes.
function M.parse_csv(text)
  local records, record, at, size = {}, {}, 1, #text
  while at <= size do
    local field
    if text:byte(at) == 34 then
      local pieces = {}
      repeat
        local close = assert(text:find("\"", at + 1, true), "open quote")
        pieces[#pieces + 1] = text:sub(at + 1, close - 1)
        at = close + 1
      until text:byte(at) ~= 34
      field = table.concat(pieces, "\"")
    else
      local stop = text:find("[,\r\n]", at) or size + 1
      field = text:sub(at, stop - 1)
      assert(not field:find("\"", 1, true), "quote inside a bare field")
      at = stop
    end
    record[#record + 1] = field
    local mark = text:sub(at, at)
    if mark == "\r" then
      at = at + 1
      mark = text:sub(at, at)
      assert(mark == "\n", "lone carriage return")
    end
    assert(mark == "," or mark == "\n" or mark == "", "text after a closing quote")
    if mark ~= "," then
      records[#records + 1] = record
      record = {}
    end
    at = at + 1
  end
  return records
end

---Parts of a multipart body: name → { headers, value }.
function M.parse_form(body, content_type)
  local boundary = content_type:match("^multipart/form%-data;%s*boundary=\"?([^\";]+)")
  assert(boundary, "no boundary")
  local mark = "--" .. boundary
  assert(body:sub(1, #mark + 2) == mark .. "\r\n", "the body does not start with its boundary")
  local parts, at = {}, #mark + 3
  while true do
    local stop = assert(body:find("\r\n" .. mark, at, true), "no closing boundary")
    local part = body:sub(at, stop - 1)
    local blank = assert(part:find("\r\n\r\n", 1, true), "a part without headers")
    local headers = part:sub(1, blank - 1)
    local name = assert(headers:match("[nN]ame=\"([^\"]*)\""), "a part without a name")
    assert(not parts[name], "a part twice: " .. name)
    parts[name] = { headers = headers, value = part:sub(blank + 4) }
    at = stop + 2 + #mark
    if body:sub(at, at + 1) == "--" then
      return parts
    end
    assert(body:sub(at, at + 1) == "\r\n", "text after a boundary")
    at = at + 2
  end
end

-- GB18030, since some encoders' GBK has a few two-byte codes more than the system's; substitutes
-- stay as they are.
local function from_gbk(bytes)
  local path = os.tmpname()
  shell.write(path, bytes)
  local command = ("iconv -f GB18030 -t UTF-8 %s 2>/dev/null || echo BROKEN"):format(shell.quote(path))
  local text = shell.capture(command) .. "\n"
  os.remove(path)
  assert(not text:find("BROKEN\n$"), "the file is not valid GBK")
  return text
end

---The list as uuid → record in COLUMNS order; `outside` names the uuids whose row has characters
---outside GBK.
function M.expected(path, outside_gbk)
  local expected, outside, order = {}, {}, {}
  for i, r in ipairs(M.parse_csv(assert(shell.read(path)))) do
    if i > 1 then
      local record = { r[9], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8] }
      assert(not expected[r[9]], "the list has a uuid twice")
      expected[r[9]] = record
      order[#order + 1] = r[9]
      local whole = table.concat(record, "\0")
      for _, character in ipairs(outside_gbk) do
        if whole:find(character, 1, true) then
          outside[r[9]] = true
        end
      end
    end
  end
  return { rows = expected, outside = outside, order = order, characters = outside_gbk }
end

-- Go's CSV writer turns a line break inside a field into CRLF; that alone is no difference.
local function same_field(got, want)
  return got == want or got:gsub("\r\n", "\n") == want
end

local function without_substitutes(text, characters)
  for _, character in ipairs(characters) do
    text = text:gsub(character, "")
  end
  return (text:gsub("[?\26]", ""))
end

local function describe(row)
  return ("row with uuid %s"):format(row[1])
end

local FIELDS = {
  abbreviate = "bench", dataSourceName = "bench", operationType = "0", token = "bench-token",
}

local function take_upload(body, content_type, rows)
  local parts = M.parse_form(body, content_type)
  for field, value in pairs(FIELDS) do
    assert(parts[field] and parts[field].value == value, "field " .. field)
  end
  local file = assert(parts.dataSourceFile, "no part dataSourceFile")
  assert(file.headers:find("filename=\"[^\"]+\""), "the file has no name")
  local records = M.parse_csv(from_gbk(file.value))
  local header = table.concat(records[1], ",")
  assert(header == table.concat(M.COLUMNS, ","), "header: " .. header)
  for i = 2, #records do
    assert(#records[i] == 9, "a row is not nine fields wide")
    rows[#rows + 1] = records[i]
  end
end

local function text_of(value, kind)
  if value == nil or value == cjson.null then
    return ""
  end
  assert(type(value) == kind, "a value of the wrong type")
  return kind == "number" and ("%d"):format(value) or value
end

local function take_call(body, content_type, authorization, rows)
  assert(content_type:find("^application/json"), "content type " .. content_type)
  assert(authorization == "Bearer bench-token", "authorization")
  local call = cjson.decode(body)
  assert(call.encryption == false, "encryption")
  assert(#call.data >= 1 and #call.data <= 200, "rows in a call")
  for _, c in ipairs(call.data) do
    rows[#rows + 1] = {
      text_of(c.extra, "string"), text_of(c.name, "string"), text_of(c.phone, "string"),
      text_of(c.email, "string"), text_of(c.company, "string"), text_of(c.sex, "number"),
      text_of(c.grade_id, "number"),
    }
  end
end

---Reads what the sink kept and compares. Raises at the first thing that is wrong.
---@param job "j1"|"j2"|"map"
---@return { exact: integer, substituted: integer, left_out: integer, calls: integer }
function M.judge(job, folder, expected)
  local rows, calls = {}, 0
  assert(shell.exists(folder .. "/calls.tsv"), "nothing was sent")
  for line in io.lines(folder .. "/calls.tsv") do
    local uri, content_type, authorization, path =
      line:match("^([^\t]*)\t([^\t]*)\t([^\t]*)\t([^\t]*)$")
    local body = assert(shell.read(path), "a body is missing: " .. path)
    calls = calls + 1
    if uri:find("/uploadDataSource/", 1, true) then
      assert(job == "j1", "an upload in J2")
      take_upload(body, content_type, rows)
    else
      assert(job ~= "j1" and uri:find("/async_customer$"), "unexpected call " .. uri)
      take_call(body, content_type, authorization, rows)
    end
  end
  local result = { exact = 0, substituted = 0, left_out = 0, calls = calls }
  local seen = {}
  for _, row in ipairs(rows) do
    if job == "map" then -- what bench/map.lua sets: looked at here, then put back
      local uuid, grade = row[1]:match("^(.*)/([^/]*)$")
      local of_list = assert(expected.rows[uuid], "a row that is not in the list")
      assert(grade == of_list[7] and row[4] == of_list[4]:upper(), "the function did not look at row " .. uuid)
      row[1], row[4] = uuid, of_list[4]
    end
    local want = assert(expected.rows[row[1]], describe(row) .. " is not in the list")
    assert(not seen[row[1]], describe(row) .. " came twice")
    seen[row[1]] = true
    local same = true
    for i = 1, #row do
      local close = job == "j1" and expected.outside[row[1]]
        and without_substitutes(row[i], expected.characters)
          == without_substitutes(want[i], expected.characters)
      local equal = same_field(row[i], want[i])
      assert(equal or close, describe(row) .. " differs in " .. M.COLUMNS[i])
      same = same and equal
    end
    local kind = same and "exact" or "substituted"
    result[kind] = result[kind] + 1
  end
  for _, uuid in ipairs(expected.order) do
    if not seen[uuid] then
      assert(job == "j1" and expected.outside[uuid], "row with uuid " .. uuid .. " never came")
      result.left_out = result.left_out + 1
    end
  end
  return result
end

return M
