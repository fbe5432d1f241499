-- SPDX-License-Identifier: MIT
-- Imports whose bytes are looked at on the wire, without the sandbox: what a list becomes for outbound.

local campaign = require "campaign"
local command = require "support.command"
local core = require "campaign.core"
local fake = require "support.fake"
local recorder = require "support.recorder"

local GROUPS = '{"code":200,"msg":"m","data":[{"type":0,"dataSourceName":"spring","total":0,"customFields":['
  .. '{"id":1,"name":"uuid","type1":1},{"id":2,"name":"phone","type1":1},{"id":3,"name":"name","type1":0}]}]}'
local ACCEPTED = '{"code":200,"msg":"success"}'

-- Imports a list and gives the requests as they went over the wire.
local function import(csv, to, params, replies)
  local folder = command.folder()
  local wire = recorder.new(replies)
  local result, err = campaign.import{
    source = command.write(folder .. "/list.csv", csv), to = to, params = params, job = folder .. "/job", window = "ignore",
    account = { base_url = wire.url, token = "t", abbreviate = "acme" }, transport = wire, env = fake.env(),
  }
  wire:close()
  command.remove(folder)
  assert(result, tostring(err))
  return wire.received, result
end

describe("the import on the wire", function()
  local LIST = "name,uuid,phone\n王小明,c-1,13000000001\n\"李,四\",c-2,13000000002\n"
  local JSON = recorder.reply

  it("R031 client encodes the contacts file in GBK", function()
    local received = import(LIST, "outbound.upload_contacts_file", { dataSourceName = "spring" }, { JSON(GROUPS), JSON(GROUPS), JSON(ACCEPTED) })
    local expected = assert(core.gbk.encode("uuid,phone,name\r\nc-1,13000000001,王小明\r\nc-2,13000000002,\"李,四\"\r\n", "gbk"))
    assert.equal(3, #received) -- the columns, a look before the upload, the upload
    assert(received[3]:find("\r\n\r\n" .. expected .. "\r\n--", 1, true), received[3])
  end)

  it("R057 client writes the DNC file in GBK with one column, the uuid", function()
    local received = import("name,uuid\n王小明,c-1\n李四,编号2\n", "outbound.upload_dnc_file", { dataSourceName = "dnc" }, { JSON(ACCEPTED) })
    local expected = assert(core.gbk.encode("uuid\r\nc-1\r\n编号2\r\n", "gbk"))
    assert(received[#received]:find("\r\n\r\n" .. expected .. "\r\n--", 1, true), received[#received])
  end)

  it("sends not a byte of a file that was changed between plan and run, though its size and time are the same", function()
    local folder = command.folder()
    local path = command.write(folder .. "/list.csv", "uuid\n" .. ("c-1234567\n"):rep(150000))
    assert(os.execute("touch -d @1700000000.5 " .. path))
    for _, change in ipairs{ false, true } do
      local wire = recorder.new{ JSON(ACCEPTED) }
      local job = assert(campaign.plan{ source = path, to = "outbound.upload_dnc_file", params = { dataSourceName = "dnc" },
        job = folder .. "/job-" .. tostring(change), rows_per_file = 150000, window = "ignore",
        account = { base_url = wire.url, token = "t", abbreviate = "acme" },
        transport = wire, env = fake.env() })
      if change then
        core.system.sleep(0.02)
        assert(os.execute("printf d | dd of=" .. path .. " bs=1 seek=700000 conv=notrunc 2>/dev/null && touch -d @1700000000.5 " .. path))
      end
      local result = assert(job:run())
      wire:close()
      local uploads = 0
      for _, request in ipairs(wire.received) do
        uploads = uploads + (request:find("c-1234567", 1, true) and 1 or 0)
      end
      assert.equal(change and 0 or 1, uploads)
      assert.equal(change and 0 or 150000, result.accepted)
      if change then
        assert.same({ "ledger", "changed" }, { result.error.kind, result.error.reason })
      end
    end
    command.remove(folder)
  end)

  it("refuses a target whose columns cannot be told apart, and is in no doubt when the question for them fails", function()
    local function refused(reply)
      local folder = command.folder()
      local wire = recorder.new{ reply }
      local job, err = campaign.plan{ source = command.write(folder .. "/list.csv", LIST), to = "outbound.upload_contacts_json",
        params = { dataSourceName = "spring" }, job = folder .. "/job", window = "ignore",
        account = { base_url = wire.url, token = "t", abbreviate = "acme" }, transport = wire, env = fake.env() }
      wire:close()
      command.remove(folder)
      assert.is_nil(job)
      assert.equal("no", err.sent)
      return err.kind .. ": " .. err.message
    end
    local function target(columns)
      return '{"dataSourceName":"spring","customFields":' .. columns .. "}"
    end
    local function groups(...)
      return JSON('{"code":200,"msg":"m","data":[' .. table.concat({ ... }, ",") .. "]}")
    end
    local two = target('[{"name":"uuid"},{"name":"phone"}]')
    assert.equal("usage: column 2 of the target has no name", refused(groups(target('[{"name":"uuid"},{"name":null}]'))))
    assert.equal("usage: column 1 of the target has no name", refused(groups(target('[{"id":7}]'))))
    assert.equal('usage: the target has two columns "uuid"', refused(groups(target('[{"name":"uuid"},{"name":"uuid"}]'))))
    assert.matches("^usage: the target has no columns yet", refused(groups(target("null"))))
    assert.matches("^usage: the platform has more than one target of that name", refused(groups(target('[{"name":"uuid"}]'), two)))
    assert.matches("^usage: the platform has more than one target of that name", refused(groups(two, target("[]"))))
    assert.matches("^platform: refused: m %(code 7%)", refused(JSON('{"code":7,"msg":"m"}')))
    assert.matches("^response: ", refused(JSON('{"code":"x"}')))
    assert.matches("^response: ", refused(JSON("<html>")))
  end)

  it("takes the columns of the data source that the operation fills, not of a do-not-call one that has the same name", function()
    local function groups(...)
      return JSON('{"code":200,"msg":"m","data":[' .. table.concat({ ... }, ",") .. "]}")
    end
    local dnc = '{"type":1,"dataSourceName":"spring","total":7,"utime":1,"customFields":[{"id":1,"name":"uuid","type1":1}]}'
    local contacts = '{"type":0,"dataSourceName":"spring","total":0,"utime":1,"customFields":['
      .. '{"id":1,"name":"uuid","type1":1},{"id":2,"name":"phone","type1":1},{"id":3,"name":"name","type1":0}]}'
    for _, listed in ipairs({ groups(dnc, contacts), groups(contacts, dnc) }) do
      local received = import(LIST, "outbound.upload_contacts_json", { dataSourceName = "spring" }, { listed, listed, JSON(ACCEPTED) })
      assert(received[3]:find('"dataList":[["c-1","13000000001","王小明"],["c-2","13000000002","李,四"]]', 1, true), received[3])
    end
    local folder = command.folder()
    local wire = recorder.new{ groups(dnc, (contacts:gsub("spring", "autumn"))) }
    local job, err = campaign.plan{ source = command.write(folder .. "/list.csv", LIST), to = "outbound.upload_contacts_file",
      params = { dataSourceName = "spring" }, job = folder .. "/job", window = "ignore",
      account = { base_url = wire.url, token = "t", abbreviate = "acme" }, transport = wire, env = fake.env() }
    wire:close()
    command.remove(folder)
    assert.is_nil(job)
    assert.equal('the platform has no target "spring"; it has: autumn', err.message)
  end)

  it("R068 client sends JSON rows as values in the order of customFields, without a header row", function()
    local received = import(LIST, "outbound.upload_contacts_json", { dataSourceName = "spring" }, { JSON(GROUPS), JSON(GROUPS), JSON(ACCEPTED) })
    assert(received[3]:find('"dataList":[["c-1","13000000001","王小明"],["c-2","13000000002","李,四"]]', 1, true), received[3])
  end)
end)
