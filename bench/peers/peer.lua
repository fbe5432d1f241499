-- SPDX-License-Identifier: MIT
-- The Lua peer of the bench: LuaJIT with Debian's lua-curl, lua-iconv and lua-cjson, streaming. That
-- lua-curl has neither a multi nor a form interface, so the multipart body is written by hand and
-- J2's calls go one after the other. For Lua 5.4 there is no lua-curl: LuaSocket on one connection.
--
--   luajit bench/peers/peer.lua j1 URL CSV
--   luajit bench/peers/peer.lua j2 URL CSV
--   luajit bench/peers/peer.lua map URL CSV    J2 with a function that changes each row (also lua5.4)

local has_curl, curl = pcall(require, "curl")

local find, sub, gsub, concat = string.find, string.sub, string.gsub, table.concat

-- The fields of a record that holds quotes.
local function quoted_fields(line)
  local row, n, at = {}, 0, 1
  while true do
    local field, stop
    if sub(line, at, at) == "\"" then
      stop = at
      repeat
        stop = assert(find(line, "\"", stop + 1, true), "open quote")
        local doubled = sub(line, stop + 1, stop + 1) == "\""
        if doubled then stop = stop + 1 end
      until not doubled
      field = gsub(sub(line, at + 1, stop - 1), "\"\"", "\"")
      stop = stop + 1
    else
      stop = find(line, ",", at, true) or #line + 1
      field = sub(line, at, stop - 1)
    end
    n = n + 1
    row[n] = field
    if stop > #line then
      return row
    end
    at = stop + 1
  end
end

local function plain_fields(line)
  local row, n, at = {}, 0, 1
  while true do
    local comma = find(line, ",", at, true)
    n = n + 1
    if not comma then
      row[n] = sub(line, at)
      return row
    end
    row[n] = sub(line, at, comma - 1)
    at = comma + 1
  end
end

-- Iterator over the records of a file, the header left out.
local function records(path)
  local file = assert(io.open(path, "rb"))
  file:setvbuf("full", 262144)
  local lines = file:lines()
  lines()
  return function()
    local line = lines()
    if not line then
      return nil
    end
    if not find(line, "\"", 1, true) then
      return plain_fields(line)
    end
    while select(2, gsub(line, "\"", "")) % 2 == 1 do
      line = line .. "\n" .. assert(lines(), "open quote")
    end
    return quoted_fields(line)
  end
end

-- Posts bodies over one connection that is kept: what lua-curl does for LuaJIT.
local function socket_handle(url, headers)
  local host, port, path = url:match("^http://([^:/]+):(%d+)(/.*)$")
  local connection = assert(require("socket").connect(host, tonumber(port)))
  connection:setoption("tcp-nodelay", true)
  local decode = require("cjson").decode
  local head = ("POST %s HTTP/1.1\r\nHost: %s:%s\r\n%s\r\n"):format(path, host, port, concat(headers, "\r\n"))
  return function(body)
    assert(connection:send(head .. "Content-Length: " .. #body .. "\r\n\r\n" .. body))
    assert(assert(connection:receive("*l")):find("^HTTP/1%.1 200"), "no 200")
    local length, text
    repeat
      local line = assert(connection:receive("*l"))
      length = tonumber(line:lower():match("^content%-length:%s*(%d+)")) or length
    until line == ""
    if length then
      text = assert(connection:receive(length))
    else -- in chunks
      local chunks = {}
      repeat
        local size = tonumber(assert(connection:receive("*l")), 16)
        chunks[#chunks + 1] = assert(connection:receive(size + 2)):sub(1, size)
      until size == 0
      text = concat(chunks)
    end
    if decode(text).code ~= 200 then
      error("refused: " .. text)
    end
  end
end

local function handle(url, headers)
  local easy, answer = curl.easy_init(), {}
  easy:setopt(curl.OPT_URL, url)
  easy:setopt(curl.OPT_POST, 1)
  easy:setopt(curl.OPT_HTTPHEADER, headers)
  easy:setopt(curl.OPT_WRITEFUNCTION, function(piece)
    answer[#answer + 1] = piece
    return #piece, nil
  end)
  local decode = require("cjson").decode
  return easy, function()
    answer = {}
    local code, problem = easy:perform()
    if code ~= 0 then
      error("lua-curl: " .. tostring(problem or code))
    end
    local text = concat(answer)
    if decode(text).code ~= 200 then
      error("refused: " .. text)
    end
  end
end

local function csv_line(row)
  local line = concat(row, ",")
  -- A plain search is quick: only records with something to quote are looked at again.
  if find(concat(row), "[,\"\r\n]") then
    for i = 1, #row do
      if find(row[i], "[,\"\r\n]") then
        row[i] = "\"" .. gsub(row[i], "\"", "\"\"") .. "\""
      end
    end
    line = concat(row, ",")
  end
  return line .. "\r\n"
end

local FIELDS = {
  { "abbreviate", "bench" }, { "dataSourceName", "bench" }, { "operationType", "0" },
  { "dataSourceType", "0" }, { "token", "bench-token" },
}

local function j1(url, path)
  assert(has_curl, curl)
  local to_gbk = assert(require("iconv").new("GBK//TRANSLIT", "UTF-8"))
  local boundary = "----------------------------7d1f0c55a9e24b31"
  local head, n = {}, 0
  local part = "--" .. boundary .. "\r\nContent-Disposition: form-data; name=\"%s\""
  for _, field in ipairs(FIELDS) do
    n = n + 1
    head[n] = part:format(field[1]) .. "\r\n\r\n" .. field[2] .. "\r\n"
  end
  head[n + 1] = part:format("dataSourceFile") .. "; filename=\"contacts.csv\"\r\n"
    .. "Content-Type: text/csv\r\n\r\nuuid,name,phone,email,company,sex,grade,groups,note\r\n"

  local next_record, ended = records(path), false
  -- The next piece of the body, about 64 KiB; nil after the closing boundary.
  local function piece()
    local lines, count = {}, 0
    while count < 500 do
      local r = next_record()
      if not r then
        break
      end
      count = count + 1
      lines[count] = csv_line { r[9], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8] }
    end
    if count > 0 then
      local gbk, problem = to_gbk:iconv(concat(lines, "", 1, count))
      return problem and error("iconv: " .. problem) or gbk
    end
    if not ended then
      ended = true
      return ("\r\n--%s--\r\n"):format(boundary)
    end
  end

  local easy, perform = handle(url .. "/api/v1/config/openapi/contact/uploadDataSource/v2", {
    "Content-Type: multipart/form-data; boundary=" .. boundary,
    "Transfer-Encoding: chunked", "Expect:",
  })
  local ready, at = concat(head), 1
  easy:setopt(curl.OPT_READFUNCTION, function(wanted)
    if at > #ready then
      ready, at = piece() or "", 1
    end
    local text = sub(ready, at, at + wanted - 1)
    at = at + #text
    return #text, text
  end)
  perform()
end

local function poster(url, headers)
  if not has_curl then
    headers[#headers] = nil -- LuaSocket sends no Expect
    return socket_handle(url, headers)
  end
  local easy, perform = handle(url, headers)
  return function(body)
    easy:setopt(curl.OPT_POSTFIELDSIZE, #body)
    easy:setopt(curl.OPT_POSTFIELDS, body)
    perform()
  end
end

local function j2(url, path, change)
  local encode = require("cjson").encode
  local post = poster(url .. "/agent-api/user/bench/async_customer",
    { "Content-Type: application/json", "Authorization: Bearer bench-token", "Expect:" })
  local next_record = records(path)
  while true do
    local data, n = {}, 0
    while n < 200 do
      local r = next_record()
      if not r then
        break
      end
      n = n + 1
      if change then
        change(r)
      end
      data[n] = {
        name = r[1], phone = r[2], email = r[3], company = r[4], sex = tonumber(r[5]),
        grade_id = tonumber(r[6]), extra = r[9],
      }
    end
    if n == 0 then
      return
    end
    post(encode { data = data, encryption = false })
  end
end

-- As bench/map.lua, on the row as this peer has it.
local function map(url, path)
  j2(url, path, function(row)
    row[3] = row[3]:upper()
    row[9] = row[9] .. "/" .. row[6]
  end)
end

local job = ({ j1 = j1, j2 = j2, map = map })[arg[1]]
if not job or not arg[3] then
  io.stderr:write("usage: luajit bench/peers/peer.lua j1|j2|map URL CSV\n")
  os.exit(2)
end
job(arg[2], arg[3])
