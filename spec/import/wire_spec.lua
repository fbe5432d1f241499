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

  it("R068 client sends JSON rows as values in the order of customFields, without a header row", function()
    local received = import(LIST, "outbound.upload_contacts_json", { dataSourceName = "spring" }, { JSON(GROUPS), JSON(GROUPS), JSON(ACCEPTED) })
    assert(received[3]:find('"dataList":[["c-1","13000000001","王小明"],["c-2","13000000002","李,四"]]', 1, true), received[3])
  end)
end)
