-- SPDX-License-Identifier: MIT
-- `campaign convert`: converts a text file between encodings, in pieces, with the strict converter of the core. An unmappable character or
-- invalid bytes end it with offset and code point; nothing is replaced except by the user's own table.

local core = require "campaign.core"
local error_object = require "campaign.error"
local output = require "campaign.cli.output"
local parameters = require "campaign.cli.parameters"
local workbook = require "campaign.workbook"

local usage = output.usage

local M = {}

local PIECE = 65536

-- Spellings in use → the core's name.
local ENCODINGS = {
  ["utf-8"] = "utf-8", utf8 = "utf-8", gbk = "gbk", cp936 = "cp936", gb18030 = "gb18030", ["utf-16le"] = "utf-16le",
  ["utf-16be"] = "utf-16be",
}
local MARKS = { ["utf-8"] = "\239\187\191", ["utf-16le"] = "\255\254", ["utf-16be"] = "\254\255" }

local function encoding(name, option)
  local known = ENCODINGS[name:lower()]
  if not known then
    return usage(option .. " '" .. name .. "' is not a known encoding", "utf-8, gbk, cp936, gb18030, utf-16le, utf-16be")
  end
  return known
end

-- A sheet of a workbook as CSV in a file without a name.
local function open_sheet(given)
  if given.from and given.from:lower() ~= "utf-8" then
    return usage("--from " .. given.from .. ": " .. given.file .. " is an Excel workbook", "leave --from out")
  end
  local opened, err = workbook.open{
    path = given.file, sheet = given.sheet, header_row = given.header_row, folder = os.getenv("TMPDIR") or "/tmp",
      stopped = function() return core.console.caught() > 0 end,
  }
  if not opened then
    return nil, err
  end
  if not given.json then
    for _, note in ipairs(opened.list.notes) do
      output.note("note: ", note)
    end
    for _, doubt in ipairs(opened.doubts) do
      output.note("note: ", workbook.doubt(doubt, opened.columns[doubt.column] or "#" .. doubt.column), "; ", workbook.advice(doubt))
    end
  end
  local file = assert(io.open(opened.reader:path(), "rb"))
  opened.input:close()
  opened.reader:close()
  return file
end

local function open_input(given)
  local path = given.file
  if path and path ~= "-" and workbook.is_one(path) then
    return open_sheet(given)
  elseif workbook.option(given) then
    return workbook.refuse_option(path or "stdin", workbook.option(given))
  elseif not given.from then
    return usage("missing option '--from'", "--from utf-8, for instance: the encoding of " .. (path or "stdin"))
  elseif not path or path == "-" then
    return io.stdin
  end
  local file, message = io.open(path, "rb")
  if not file then
    return usage("cannot read " .. message)
  end
  -- A directory opens and then fails to read.
  local ok, read_message = file:read(0)
  if not ok and read_message then
    file:close()
    return usage("cannot read " .. path .. ": " .. read_message)
  end
  return file
end

local PRIVATE = 384 -- 0600

-- Where the result goes: stdout, or a name beside the wanted file, so that half a result never has its name. The list holds personal data, so
-- nobody else can read the file, whatever the umask.
local function open_output(path)
  if not path then
    return { file = io.stdout }
  end
  local found = core.system.stat(path, true)
  if found and found.type ~= "file" then -- the rename would replace a device or a pipe by a file
    return usage("cannot write " .. path .. ": exists and is not a regular file")
  end
  local temporary = path .. "." .. core.digest.hex(core.system.random(6)) .. ".part"
  local made, err = core.system.write_atomic(temporary, "", PRIVATE)
  if not made then
    return usage("cannot write " .. err.message)
  end
  local file, message = io.open(temporary, "wb")
  if not file then
    return usage("cannot write " .. message)
  end
  return { file = file, temporary = temporary, path = path }
end

local function write(target, bytes)
  local ok, message = target.file:write(bytes)
  if not ok then
    return nil, error_object.new{ kind = "ledger", message = "cannot write the result: " .. message, hint = "is the disk full?" }
  end
  return true
end

-- The converter's error, with the name of the input.
local function in_file(err, name, skipped)
  return error_object.new{
    kind = err.kind, message = name .. ": " .. err.message, reason = err.reason, code = err.code, cause = err.cause,
    hint = err.reason == "unmappable" and "--on-unmappable map:FILE takes replacements of your own"
      or skipped > 0 and "offsets count from after the byte order mark" or nil,
  }
end

-- Pumps the input through the converter.
local function pump(converter, input, target, mark, name)
  local first, skipped = true, 0
  while true do
    local bytes, message = input:read(PIECE)
    if core.console.caught() > 0 then
      return nil, error_object.new{ kind = "cancelled", message = target.path and "interrupted; " .. target.path .. " was not written"
        or "interrupted", sent = "no" }
    end
    if not bytes then
      if message then
        return usage("cannot read " .. name .. ": " .. message)
      end
      break
    end
    if first and mark and bytes:sub(1, #mark) == mark then
      bytes = bytes:sub(#mark + 1)
      skipped = #mark
    end
    first = false
    local converted, err = converter:feed(bytes)
    if not converted then
      return nil, in_file(err, name, skipped)
    end
    local ok
    ok, err = write(target, converted)
    if not ok then
      return nil, err
    end
  end
  local rest, err = converter:finish()
  if not rest then
    return nil, in_file(err, name, skipped)
  end
  return write(target, rest)
end

local function finish(target, ok, err)
  if target.temporary then
    local closed, message = target.file:close()
    if ok and not closed then
      ok, err = nil, error_object.new{ kind = "ledger", message = "cannot write the result: " .. message }
    end
    if ok then
      ok, message = os.rename(target.temporary, target.path)
      if not ok then
        err = error_object.new{ kind = "usage", message = "cannot write " .. message }
      end
    end
    if not ok then
      os.remove(target.temporary)
    end
  elseif ok then
    ok = target.file:flush()
    err = not ok and error_object.new{ kind = "ledger", message = "cannot write the result" } or nil
  end
  return ok, err
end

local function convert(given)
  local from, err = encoding(given.from or "utf-8", "--from")
  local to, map, input, converter, target
  if from then to, err = encoding(given.to, "--to") end
  if to then map, err = parameters.unmappable(given.on_unmappable, { "fail" }) end
  if map then input, err = open_input(given) end
  if input then converter, err = core.gbk.converter{ from = from, to = to, map = map ~= "fail" and map or {} } end
  if converter then target, err = open_output(given.output) end
  local ok
  if target then
    ok, err = finish(target, pump(converter, input, target, MARKS[from], given.file or "stdin"))
  end
  if converter then converter:close() end
  if input and input ~= io.stdin then input:close() end
  return ok, err
end

function M.run(given)
  core.console.watch() -- so that a file that is not whole is removed
  local ok, err = convert(given)
  if not ok then
    return output.fail(err, given)
  end
  return 0
end

return M
