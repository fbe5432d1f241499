-- SPDX-License-Identifier: MIT
-- Writes invented contact lists: the example list (examples/data/contacts.csv) and the lists of
-- the bench. The same arguments give the same bytes on every Lua. Faults are planted in exact
-- numbers, which --facts prints; nobody in a list exists: phones start with 154, which no operator
-- has been given, and mail addresses end in the reserved example domains.
--
--   lua5.4 tools/generate_contacts.lua [--rows N] [--seed N] [--profile sample|bench]
--                                      [--out FILE] [--dnc FILE] [--facts]
--
-- Another program gets the table below by dofile: header, planted kinds, generate().

local M = {}

M.HEADER = { "姓名", "手机号", "邮箱", "公司", "性别", "客户等级", "分组", "备注", "uuid" }

-- Characters with no code in GBK (two-byte CP936); the check of the bench tells rows apart by them.
M.OUTSIDE_GBK = { "䶮", "𠮷", "㐂", "㛃", "𬭊", "𫖯", "😀", "🎉", "👍" }

-- Of 10,000 rows; a list of another length holds them in proportion. A row has at most one kind.
M.PROFILES = {
  sample = {
    { "phone_empty", 15 }, { "phone_short", 15 }, { "phone_long", 15 }, { "phone_letters", 15 },
    { "copy_row", 40 }, { "copy_phone", 30 },
    { "outside_name", 30 }, { "outside_company", 20 },
    { "quoted_comma", 60 }, { "quoted_quote", 40 }, { "quoted_newline", 30 },
  },
  bench = {
    { "outside_name", 30 }, { "outside_company", 20 },
    { "quoted_comma", 40 }, { "quoted_quote", 30 }, { "quoted_newline", 30 },
  },
}

-- The minimal standard generator: every product stays below 2^53, so all Luas agree.
local state
local function below(n)
  state = state * 48271 % 2147483647
  return state % n + 1
end

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do
    list[#list + 1] = word
  end
  return list
end

-- "王wang" gives { "王", "wang" }.
local function spelt(text)
  local list = words(text)
  for i, word in ipairs(list) do
    local at = word:find("%a")
    list[i] = { word:sub(1, at - 1), word:sub(at) }
  end
  return list
end

local SURNAMES = spelt [[
  王wang 李li 张zhang 刘liu 陈chen 杨yang 赵zhao 黄huang 周zhou 吴wu 徐xu 孙sun 胡hu 朱zhu 高gao 林lin
  何he 郭guo 马ma 罗luo 梁liang 宋song 郑zheng 谢xie 韩han 唐tang 冯feng 于yu 董dong 萧xiao 程cheng 曹cao
  袁yuan 邓deng 许xu 傅fu 沈shen 曾zeng 彭peng 吕lv 苏su 卢lu 蒋jiang 蔡cai 贾jia 丁ding 魏wei 薛xue 叶ye
  阎yan 余yu 潘pan 杜du 戴dai 夏xia 钟zhong 汪wang 田tian 任ren 姜jiang 仝tong 乜nie 仉zhang 佘she 邸di
  郗xi 臧zang 逄pang 妫gui 宓mi
]]

local COMPOUND = spelt [[
  欧阳ouyang 司马sima 上官shangguan 诸葛zhuge 夏侯xiahou 皇甫huangfu 尉迟yuchi 公孙gongsun 慕容murong
  令狐linghu 长孙zhangsun 宇文yuwen 端木duanmu 独孤dugu 南宫nangong 东方dongfang 西门ximen 申屠shentu
  澹台tantai 呼延huyan
]]

local GIVEN = spelt [[
  伟wei 芳fang 娜na 秀xiu 英ying 敏min 静jing 丽li 强qiang 磊lei 军jun 洋yang 勇yong 艳yan 杰jie 娟juan
  涛tao 明ming 超chao 霞xia 平ping 刚gang 桂gui 兰lan 华hua 飞fei 鹏peng 辉hui 建jian 国guo 红hong 玉yu
  梅mei 斌bin 波bo 宇yu 浩hao 凯kai 健jian 俊jun 帆fan 雪xue 琴qin 云yun 莉li 欣xin 怡yi 佳jia 轩xuan 涵han
  雨yu 泽ze 思si 远yuan 嘉jia 琪qi 晨chen 曦xi 博bo 文wen 兮xi 诗shi 语yu 翔xiang 志zhi 海hai 燕yan 春chun
  晓xiao 东dong 永yong 康kang 启qi 航hang 家jia 豪hao 梦meng 瑶yao 馨xin 诺nuo 喆zhe 堃kun 淼miao 犇ben
  翀chong 燚yi 昇sheng 祎yi 玥yue 珺jun 赟yun 旻min 頔di 叒ruo 甯ning 劼jie 旸yang 璟jing 翯he
]]

-- Names that are not of two or three characters: the middle dot has a code in GBK.
local LONG_NAMES = spelt [[
  阿依努尔·买买提ayinur 迪丽娜尔·艾力dilnar 巴特尔·孟和batar 扎西·多吉tashi 司马相如月simayue 爱新觉罗·启明qiming
]]

local CITIES = words [[
  北京 上海 广州 深圳 杭州 南京 成都 重庆 武汉 西安 苏州 天津 青岛 长沙 郑州 宁波 厦门 福州 合肥 济南 昆明 哈尔滨 沈阳 大连 无锡 佛山 东莞 石家庄
  乌鲁木齐 呼和浩特
]]
local BRANDS = words [[
  云麓 星渡 禾木 青岚 澄川 远棠 锦椿 朔原 瑞珩 听澜 望舒 鹿鸣 松间 砚池 乐知 栖霞 明堃 万棉 玖色 和鑫 恒垚 初旸 白桦 千帆 九皋 思齐 予乐 若谷
]]
local TRADES = words [[
  科技 信息技术 电子商务 教育咨询 文化传媒 建筑工程 装饰设计 医疗器械 生物科技 物流 国际贸易 食品 服装 机械制造 汽车销售 人力资源 餐饮管理 旅游 化工 新能源
  环保设备 广告 软件 通信设备 农业发展 家具 珠宝
]]
local FORMS = words [[
  有限公司 有限公司 有限公司 有限责任公司 股份有限公司 集团有限公司 商行 工作室
]]
local DOMAINS = words [[
  example.com example.net example.org mail.example.com corp.example.net
]]
local GROUPS = words [[
  秋季活动 老客户 新客户 VIP客户 华东区 华南区 西北区 展会线索 沉睡客户
]]
local NOTES = {
  "", "", "", "", "", "", "下午联系", "偏好短信", "已加企业微信", "转介绍客户", "合同2026年到期",
  "电话打不通 改天再试",
}

local function pick(list)
  return list[below(#list)]
end

-- Row number to phone, one to one: 7919 and 10^8 have no common divisor.
local function phone_of(row)
  return ("154%08d"):format((row * 7919 + 12345678) % 100000000)
end

local function uuid_of(row)
  return ("%04x%04x-%04x-4%03x-8%03x-%012x"):format(below(65536) - 1, below(65536) - 1,
    below(65536) - 1, below(4096) - 1, below(4096) - 1, row)
end

-- One person as { name, phone, mail, company, sex, grade, groups, note, uuid }.
local function person(row)
  local kind = below(1000)
  local name, latin
  if kind <= 4 then
    local whole = pick(LONG_NAMES)
    name, latin = whole[1], whole[2]
  else
    local surname = pick(kind <= 34 and COMPOUND or SURNAMES)
    local given = pick(GIVEN)
    name, latin = surname[1] .. given[1], given[2]
    if below(10) <= 7 then
      local second = pick(GIVEN)
      name, latin = name .. second[1], latin .. second[2]
    end
    latin = latin .. "." .. surname[2]
  end
  local mail = ""
  if below(12) > 1 then
    mail = ("%s%d@%s"):format(latin, below(9999), pick(DOMAINS))
  end
  local company = ""
  if below(10) > 1 then
    company = pick(CITIES) .. pick(BRANDS) .. pick(TRADES) .. pick(FORMS)
  end
  local first, second = below(#GROUPS), below(#GROUPS)
  local groups = GROUPS[first]
  if second ~= first then
    groups = groups .. ";" .. GROUPS[second]
  end
  return { name, phone_of(row), mail, company, tostring(below(3) - 1), tostring(below(5)),
    groups, pick(NOTES), uuid_of(row) }
end

-- What each planted kind does to a fresh person. `seen` holds earlier unplanted people.
local plant = {
  phone_empty = function(p) p[2] = "" end,
  phone_short = function(p) p[2] = p[2]:sub(1, 7 + below(3)) end,
  phone_long = function(p) p[2] = p[2] .. tostring(below(90) + 9) end,
  phone_letters = function(p)
    p[2] = p[2]:sub(1, 7) .. pick { "O", "l", "x", "转" } .. p[2]:sub(9)
  end,
  copy_row = function(p, seen)
    local other = pick(seen)
    for i = 1, #other do
      p[i] = other[i]
    end
  end,
  copy_phone = function(p, seen) p[2] = pick(seen)[2] end,
  outside_name = function(p) p[1] = p[1] .. pick(M.OUTSIDE_GBK) end,
  outside_company = function(p)
    p[4] = pick(CITIES) .. pick(M.OUTSIDE_GBK) .. pick(TRADES) .. pick(FORMS)
  end,
  quoted_comma = function(p)
    p[4] = pick(CITIES) .. pick(BRANDS) .. pick(TRADES) .. "有限公司, 总部"
  end,
  quoted_quote = function(p)
    p[4] = pick(CITIES) .. "\"" .. pick(BRANDS) .. "\"" .. pick(TRADES) .. "商行"
  end,
  quoted_newline = function(p) p[8] = "周一至周五\n" .. pick { "上午", "下午" } .. "可联系" end,
}

-- The kind of every row, shuffled; row 1 stays unplanted, so that copies have an original.
local function plan(rows, profile)
  local kinds, counts, at = {}, {}, 1
  for _, entry in ipairs(profile) do
    local count = math.floor(entry[2] * rows / 10000 + 0.5)
    counts[entry[1]] = count
    for _ = 1, count do
      at = at + 1
      kinds[at] = entry[1]
    end
  end
  for i = 1, rows do
    kinds[i] = kinds[i] or false
  end
  for i = rows, 3, -1 do
    local j = below(i - 1) + 1
    kinds[i], kinds[j] = kinds[j], kinds[i]
  end
  return kinds, counts
end

local function csv_line(fields)
  local plain = table.concat(fields)
  if plain:find("[\",\r\n]") then
    for i, field in ipairs(fields) do
      if field:find("[\",\r\n]") then
        fields[i] = "\"" .. field:gsub("\"", "\"\"") .. "\""
      end
    end
  end
  return table.concat(fields, ",") .. "\n"
end

---Generates a list and gives it away line by line.
---@param options { rows?: integer, seed?: integer, profile?: string, dnc?: integer }
---@param write fun(line: string)
---@return table<string, integer> counts how often each kind was planted
---@return string[] dnc uuids of people in the list, for a do-not-call list
function M.generate(options, write)
  local rows, dnc_wanted = options.rows or 10000, options.dnc or 0
  local profile = assert(M.PROFILES[options.profile or "sample"], "unknown profile")
  state = (options.seed or 20261111) % 2147483646 + 1
  local kinds, counts = plan(rows, profile)
  local copies = counts.copy_row or counts.copy_phone
  local seen, dnc = {}, {}
  write(csv_line(M.HEADER))
  for row = 1, rows do
    local p, kind = person(row), kinds[row]
    if kind then
      plant[kind](p, seen)
    elseif copies then
      seen[#seen + 1] = p
    end
    if not kind and #dnc < dnc_wanted and row % 97 == 0 then
      dnc[#dnc + 1] = p[9]
    end
    -- csv_line quotes in place; no quotable field is in a row that is kept for copies.
    write(csv_line(p))
  end
  return counts, dnc
end

local function options_of(arguments)
  local options, i = {}, 1
  local takes = { ["--rows"] = "rows", ["--seed"] = "seed", ["--profile"] = "profile",
    ["--out"] = "out", ["--dnc"] = "dnc_file" }
  while arguments[i] do
    local word = arguments[i]
    if word == "--facts" then
      options.facts = true
    elseif takes[word] and arguments[i + 1] then
      i = i + 1
      options[takes[word]] = arguments[i]
    else
      return nil, ("unknown argument %q; see the head of tools/generate_contacts.lua"):format(word)
    end
    i = i + 1
  end
  for _, key in ipairs { "rows", "seed" } do
    local number = tonumber(options[key] or 1)
    if not number or number < 1 or number > 1e8 or number % 1 ~= 0 then
      return nil, ("--%s takes a whole number from 1 to 100000000"):format(key)
    end
    options[key] = options[key] and number
  end
  if options.profile and not M.PROFILES[options.profile] then
    return nil, "--profile is sample or bench"
  end
  return options
end

local function main(arguments)
  local options, fault = options_of(arguments)
  if not options then
    io.stderr:write("generate_contacts: ", fault, "\n")
    return 2
  end
  local out, problem = io.stdout, nil
  if options.out then
    out, problem = io.open(options.out, "wb")
  end
  if not out then
    io.stderr:write("generate_contacts: ", problem, "\n")
    return 1
  end
  out:setvbuf("full", 1048576)
  options.dnc = options.dnc_file and 50 or 0
  local counts, dnc = M.generate(options, function(line) assert(out:write(line)) end)
  assert(out == io.stdout and out:flush() or out:close())
  if options.dnc_file then
    local file = assert(io.open(options.dnc_file, "wb"))
    assert(file:write("uuid\n", table.concat(dnc, "\n"), "\n"))
    assert(file:close())
  end
  if options.facts then
    for _, entry in ipairs(M.PROFILES[options.profile or "sample"]) do
      io.stderr:write(("%-16s %d\n"):format(entry[1], counts[entry[1]]))
    end
  end
  return 0
end

-- Run as a script, arg[0] names this file; another program only takes the table.
if arg and arg[0] and arg[0]:find("generate_contacts.lua", 1, true) then
  os.exit(main(arg), true)
end

return M
