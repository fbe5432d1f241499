-- SPDX-License-Identifier: MIT
-- campaign convert: every character arrives, or the command says which one does not, and leaves nothing half done.

local cjson = require "cjson"
local command = require "spec.support.command"
local core = require "campaign.core"
local lfs = require "lfs"
local campaign = command.campaign

local function convert(from, to, text, more)
  local argv = { "convert", "--from", from, "--to", to }
  for _, word in ipairs(more or {}) do
    argv[#argv + 1] = word
  end
  return campaign(argv, { stdin = text })
end

describe("campaign convert", function()
  local folder
  before_each(function() folder = command.folder() end)
  after_each(function() command.remove(folder) end)

  it("turns UTF-8 into GBK and back on stdin and stdout", function()
    local there = convert("utf-8", "gbk", "姓名,钱程似錦\r\n")
    assert.are.equal("\208\213\195\251,\199\174\179\204\203\198\229\092\r\n", there.out)
    assert.are.equal(0, there.code)
    local back = convert("gbk", "utf-8", there.out)
    assert.are.equal("姓名,钱程似錦\r\n", back.out)
    assert.are.equal("", there.err .. back.err)
  end)

  it("agrees with iconv on text that both know", function()
    local text = command.read("docs/contracts/outbound.md")
    local iconv = command.run({ "iconv", "-f", "utf-8", "-t", "gb18030" }, { stdin = text })
    assert.are.equal(0, iconv.code)
    assert.are.equal(iconv.out, convert("utf-8", "gb18030", text).out)
  end)

  it("converts characters that straddle the pieces it reads", function()
    local text = "x" .. string.rep("䶵语", 60000)
    local there = convert("utf-8", "gb18030", text)
    assert.are.equal(0, there.code, there.err)
    assert.are.equal(text, convert("GB18030", "utf8", there.out).out)
  end)

  it("fails with offset and code point where the target lacks a character, and never writes ?", function()
    local result = convert("utf-8", "gbk", "张䶮,1\n")
    assert.are.equal(2, result.code)
    assert.is_truthy(result.err:find("U+4DAE", 1, true))
    assert.is_truthy(result.err:find("byte 3", 1, true))
    assert.is_falsy(result.out:find("?", 1, true))
  end)

  it("names offset and code point in JSON too", function()
    local result = convert("utf-8", "gbk", "张䶮,1\n", { "--json" })
    local err = cjson.decode(result.err).error
    assert.are.equal(2, err.exit_code)
    assert.are.equal("unmappable", err.reason)
    assert.are.equal(3, err.code)
  end)

  it("fails with the offset of bytes that are not valid in the source encoding", function()
    for _, case in ipairs{ { "utf-8", "ab\255cd" }, { "gbk", "ab\129" }, { "gbk", "ab\255\255" }, { "gb18030", "ab\129\048" } } do
      local result = convert(case[1], "utf-8", case[2])
      assert.are.equal(2, result.code)
      assert.is_truthy(result.err:find("byte 2", 1, true), result.err)
    end
  end)

  it("replaces by the user's own table, and by nothing else", function()
    local map = command.write(folder .. "/map", "# names\n䶮=龑\r\nU+20BB7=吉\n🙂\t:)\n\n")
    local result = convert("utf-8", "gbk", "张䶮 𠮷野 🙂", { "--on-unmappable", "map:" .. map })
    assert.are.equal("", result.err)
    assert.are.equal("张龑 吉野 :)", convert("gbk", "utf-8", result.out).out)
    result = convert("utf-8", "gbk", "㐂", { "--on-unmappable", "map:" .. map })
    assert.are.equal(2, result.code)
  end)

  it("refuses a table of replacements that is none", function()
    for _, text in ipairs{ "䶮", "ab=c", "=x", "U+D800=x", "U+110000=x", "䶮=a\n䶮=b", "\255=x" } do
      local map = command.write(folder .. "/map", text)
      local result = convert("utf-8", "gbk", "a", { "--on-unmappable", "map:" .. map })
      assert.are.equal(2, result.code, text)
      assert.is_truthy(result.err:find(map, 1, true))
    end
    assert.are.equal(2, convert("utf-8", "gbk", "a", { "--on-unmappable", "map:" .. folder .. "/none" }).code)
    assert.are.equal(2, convert("utf-8", "gbk", "a", { "--on-unmappable", "map:" .. folder }).code)
    assert.are.equal(2, convert("utf-8", "gbk", "a", { "--on-unmappable", "skip" }).code)
  end)

  it("writes a file whole or not at all", function()
    local input = command.write(folder .. "/in", "张三")
    local out = folder .. "/out"
    assert.are.equal(0, campaign{ "convert", input, "--from", "utf-8", "--to", "gbk", "-o", out }.code)
    assert.are.equal("\213\197\200\253", command.read(out))
    command.write(input, string.rep("张", 100000) .. "䶮")
    assert.are.equal(2, campaign{ "convert", input, "--from", "utf-8", "--to", "gbk", "-o", out }.code)
    assert.are.equal("\213\197\200\253", command.read(out))
    local names = {}
    for name in lfs.dir(folder) do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.are.same({ ".", "..", "in", "out" }, names)
    assert.are.equal(384, core.system.stat(out).mode, "a list is nobody else's: 0600")
  end)

  it("may write onto the file it reads", function()
    local file = command.write(folder .. "/f", "张三")
    assert.are.equal(0, campaign{ "convert", file, "--from", "utf-8", "--to", "gbk", "-o", file }.code)
    assert.are.equal("\213\197\200\253", command.read(file))
  end)

  it("leaves out a byte order mark at the start", function()
    assert.are.equal("a", convert("utf-8", "gbk", "\239\187\191a").out)
    assert.are.equal("张", convert("utf-16le", "utf-8", "\255\254\032\095").out)
    assert.are.equal("张", convert("utf-16be", "utf-8", "\254\255\095\032").out)
  end)

  it("gives nothing for nothing", function()
    local result = convert("utf-8", "gbk", "")
    assert.are.equal(0, result.code)
    assert.are.equal("", result.out)
  end)

  it("refuses missing files, folders and unknown encodings with exit code 2 and one line", function()
    for _, argv in ipairs{
      { "convert", folder .. "/none", "--from", "utf-8", "--to", "gbk" },
      { "convert", folder, "--from", "utf-8", "--to", "gbk" },
      { "convert", "--from", "latin1", "--to", "gbk" },
      { "convert", "--from", "utf-8", "--to", "big5" },
      { "convert", "--from", "utf-8", "--to", "gbk", "-o", folder .. "/no/such/folder" },
      { "convert", "--from", "utf-8", "--to", "gbk", "-o", folder },
    } do
      local result = campaign(argv)
      assert.are.equal(2, result.code, table.concat(argv, " ") .. result.err)
      assert.is_truthy(result.err:find("^campaign: [^\n]+\n$"), result.err)
    end
  end)

  it("leaves a pipe or a device that -o names in its place", function()
    assert(os.execute("mkfifo " .. folder .. "/pipe"))
    for words, code in pairs{ ["convert --from utf-8 --to gbk -o "] = 2, ["openapi longlong -o "] = 8 } do
      local result = command.run({ "sh", "-c", command.ROOT .. "/bin/campaign " .. words .. folder .. "/pipe </dev/null; code=$?; test -p "
        .. folder .. "/pipe && echo $code" })
      assert.are.equal(code .. "\n", result.out, words)
      assert.is_truthy(result.err:find("/pipe: exists and is not a regular file", 1, true), result.err)
    end
  end)

  it("says so when the result cannot be written", function()
    local input = command.write(folder .. "/in", string.rep("张", 100000))
    local result = command.run({ "sh", "-c", command.ROOT .. "/bin/campaign convert " .. input
      .. " --from utf-8 --to gbk >/dev/full" })
    assert.are.equal(8, result.code)
  end)

  -- A file that is begun and gets no more than its beginning; the shell leaves SIGTERM, not SIGINT, to what it runs in the background.
  for what, words in pairs{
    ["convert"] = "convert --from utf-8 --to gb18030 -o result.txt <input",
    ["members"] = "members input.csv --to hypers.create_notification_task -o result.xlsx",
  } do
    it("leaves no part of a file behind when it is interrupted: " .. what, function()
      local rows = { "userId,name" }
      for row = 1, what == "members" and 300000 or 0 do
        rows[row + 1] = row .. ",somebody"
      end
      command.write(folder .. "/input.csv", table.concat(rows, "\n"))
      local script = "cd '" .. folder .. "'; mkfifo input; exec 3<>input; echo text >&3; '" .. command.ROOT .. "/bin/campaign' " .. words
        .. " 2>err & while ! ls -A | grep -q '[.]part$'; do sleep 0.02; done; kill -TERM $!; wait $!; echo $?; ls -A; cat err"
      local result = command.run({ "sh", "-c", script }, { seconds = 60 })
      assert.are.equal(what == "members" and "130\nerr\ninput\ninput.csv\ncampaign: interrupted; no file was written\n"
        or "130\nerr\ninput\ninput.csv\ncampaign: interrupted; result.txt was not written\n", result.out, result.err)
    end)
  end
end)
