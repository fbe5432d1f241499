-- SPDX-License-Identifier: MIT
-- The sandbox's marketing notices: groups, scenes and lists, rule by rule, over real HTTP. Plans and their tasks:
-- hypers_plans_spec.lua.

local h = require "sandbox.helper"
local m = require "sandbox.marketing"

local json, rule = h.json, h.rules(it)
local array = json.array
local accepted, refused = m.accepted, m.refused

describe("sandbox hypers groups and scenes", function()
  setup(function() h.start() end)
  teardown(function() h.stop() end)

  local function group(name)
    return accepted(m.post("/group", { name = name or "spring" }))
  end

  local function groups(query)
    return accepted(m.get("/group" .. (query or "")))
  end

  local function names(page)
    local list = {}
    for i, row in ipairs(page.content) do
      list[i] = row.name
    end
    return table.concat(list, ",")
  end

  local function scene(changes)
    return m.post("/scene", m.with({
      name = "wants to visit", statisticalMethod = "GRAND_TOTAL", prompt = "agrees", externalId = "ext-1",
    }, changes))
  end

  local function plan()
    return accepted(m.post("", { options = "DRAFT", data = { name = "p", groupId = group().id } })).id
  end

  -- Paging --------------------------------------------------------------------------------------

  local function five()
    for _, name in ipairs{ "b", "A", "d", "C", "e" } do
      group(name)
    end
  end

  rule("R257", "answers all rows without current", function()
    for i = 1, 25 do
      group("g" .. i)
    end
    assert.equal(25, #groups().content)
  end)

  rule("R259", "uses size 20 without a size, and does not page without current", function()
    for i = 1, 25 do
      group("g" .. i)
    end
    assert.equal(20, #groups("?current=0").content)
    assert.equal(25, #groups("?size=3").content)
  end)

  rule("R260", "counts current from 0", function()
    five()
    assert.equal("b,A", names(groups("?current=0&size=2")))
    assert.equal("e", names(groups("?current=2&size=2")))
  end)

  rule("R261", "refuses a negative current, a size below 1, and what is no integer of 32 bits", function()
    for _, query in ipairs{ "?current=-1", "?current=0&size=0", "?current=x", "?current=2147483648", "?current=0&size=9223372036854775807" } do
      assert.equal(400, m.get("/group" .. query).status)
    end
    local answer = m.get("/group?current=2147483647&size=2147483647")
    assert.equal(200, answer.status)
    assert.truthy(answer.body:find('"number":2147483647,"size":2147483647,', 1, true), answer.body)
    assert.truthy(answer.body:find('"offset":46116860141324%d+,'), answer.body)
  end)

  rule("R262", "orders by a repeated key or commas and refuses unknown fields", function()
    five()
    assert.equal("A,C,b,d,e", names(groups("?orderBy=name")))
    assert.equal("A,C,b,d,e", names(groups("?orderBy=createTime,name")))
    assert.equal("A,C,b,d,e", names(groups("?orderBy=createTime&orderBy=name")))
    assert.equal(400, m.get("/group?orderBy=colour").status)
    assert.equal("orderBy: unknown field a?", m.get("/group?orderBy=a%ff").json.message)
  end)

  rule("R263", "takes the documented directions and null handlings only", function()
    five()
    assert.equal("e,d,b,C,A", names(groups("?orderBy=name&orderDirection=DESC&orderNullHandling=NATIVE")))
    assert.equal(400, m.get("/group?orderBy=name&orderDirection=UP").status)
    assert.equal(400, m.get("/group?orderBy=name&orderNullHandling=FIRST").status)
  end)

  rule("R264", "places nulls first or last as asked", function()
    local id = plan()
    accepted(scene{ planId = id, name = "one" })
    accepted(scene{ planId = id, name = "two", externalId = "" == nil })
    accepted(m.patch("/scene/" .. m.id(accepted(scene{ planId = id, name = "null" }).id) .. "/unbundled-externalId"))
    local function first(query)
      return accepted(m.get("/scene?orderBy=externalId" .. query)).content[1].externalId
    end
    assert.equal(json.null, first(""))
    assert.equal(json.null, first("&orderNullHandling=NULLS_FIRST"))
    assert.are_not.equal(json.null, first("&orderNullHandling=NULLS_LAST"))
    assert.are_not.equal(json.null, first("&orderDirection=DESC"))
    assert.equal(json.null, first("&orderDirection=DESC&orderNullHandling=NULLS_FIRST"))
  end)

  rule("R265", "orders by id when nothing is asked", function()
    five()
    assert.equal("b,A,d,C,e", names(groups()))
  end)

  rule("R266", "answers the twelve keys of a Spring page", function()
    five()
    local page = groups("?current=0&size=2")
    for _, key in ipairs{ "content", "pageable", "total", "empty", "number", "size", "numberOfElements", "sort",
      "first", "last", "totalPages", "totalElements" } do
      assert.is_not_nil(page[key], key)
    end
  end)

  rule("R267", "lets the numbers of a page fit", function()
    five()
    local page = groups("?current=1&size=2")
    assert.same({ 5, 5, 2, 3, 2 }, {
      page.total, page.totalElements, page.numberOfElements, page.totalPages, page.pageable.offset,
    })
    assert.equal(1, groups("?current=2&size=2").numberOfElements)
  end)

  rule("R268", "lets the truth values of a page fit", function()
    five()
    local page = groups("?current=1&size=2")
    assert.same({ true, false, false, false, false }, {
      page.pageable.paged, page.pageable.unpaged, page.first, page.last, page.empty,
    })
    page = groups("?current=2&size=2")
    assert.is_true(page.last)
    page = groups()
    assert.is_false(page.pageable.paged)
    assert.is_true(page.pageable.unpaged)
  end)

  rule("R269", "shows an unpaged reply as one page", function()
    five()
    local page = groups()
    assert.same({ 5, 5, 1, true, true }, { page.size, page.pageable.pageSize, page.totalPages, page.first, page.last })
  end)

  rule("R270", "shows no rows as no pages", function()
    local page = groups("?current=0&size=2")
    assert.same({ 0, true, true, true }, { page.totalPages, page.empty, page.first, page.last })
    assert.equal(0, #page.sort)
    assert.equal(0, #page.pageable.sort)
  end)

  rule("R271", "lists the order in force", function()
    local page = groups("?current=0&size=2&orderBy=name&orderDirection=DESC&orderNullHandling=NULLS_LAST")
    assert.same({
      direction = "DESC", property = "name", ignoreCase = false, nullHandling = "NULLS_LAST", ascending = false,
      descending = true,
    }, page.sort[1])
    assert.same(page.sort, page.pageable.sort)
  end)

  rule("R275", "filters by part of the name without regard to case", function()
    group("Spring visit")
    group("autumn")
    assert.equal("Spring visit", names(groups("?keyWord=sPRING")))
    assert.equal(2, #groups("?keyword=spring").content)
  end)

  -- Routes --------------------------------------------------------------------------------------

  rule("R277", "serves the restored paths", function()
    local id = m.id(group().id)
    assert.equal(200, m.get("/group/" .. id).status)
    assert.equal(200, m.put("/group/" .. id, { name = "x" }).status)
    assert.equal(200, m.delete("/group/" .. id).status)
  end)

  rule("R279", "answers 404 to an empty last segment and changes nothing", function()
    group()
    for _, method in ipairs{ "DELETE", "PUT", "GET" } do
      assert.equal(404, m.send(method, "/group/", { name = "x" }).status, method)
    end
    assert.equal(1, #groups().content)
  end)

  rule("R280", "takes group, scene, task and members for fixed words, not ids", function()
    group()
    assert.equal("spring", groups().content[1].name)
    assert.is_not_nil(accepted(m.get("/scene")).content)
    assert.equal(200, m.get("/members/template").status)
    assert.equal(404, m.get("/task/999999").status)
    for _, path in ipairs{ "/task", "/members", "/members/task", "/group/task/schema", "/task/task/schema" } do
      assert.equal(404, m.get(path).status, path)
    end
    assert.equal(404, m.delete("/members").status)
    assert.equal(405, m.delete("/group").status)
  end)

  rule("R282", "answers {} where the document prints it", function()
    assert.equal("{}", m.delete("/group/" .. m.id(group().id)).body)
  end)

  rule("R284", "answers 404 to unknown groups, scenes, plans, tasks and members", function()
    for _, path in ipairs{ "/group/999999", "/scene/999999", "/999999", "/task/999999", "/999999/report" } do
      assert.equal(404, m.get(path).status, path)
    end
    assert.equal(404, m.reports("999999").status)
  end)

  rule("R285", "refuses a missing body", function()
    assert.equal(400, m.send("POST", "/group").status)
  end)

  -- Groups --------------------------------------------------------------------------------------

  rule("R286", "needs a name that is not blank in create and update", function()
    refused(m.post("/group", { name = " " }), "name")
    refused(m.post("/group", {}), "name")
    refused(m.put("/group/" .. m.id(group().id), { name = "" }), "name")
  end)

  rule("R287", "answers four fields, an update changing only lastUpdateTime", function()
    local made = group()
    assert.same({ "2025-11-10 10:00:00", "2025-11-10 10:00:00" }, { made.createTime, made.lastUpdateTime })
    h.at("2025-11-10 11:00:00")
    made = accepted(m.put("/group/" .. m.id(made.id), { name = "y" }))
    assert.same({ "2025-11-10 10:00:00", "2025-11-10 11:00:00", "y" }, { made.createTime, made.lastUpdateTime, made.name })
  end)

  rule("R288", "filters by comma-separated ids", function()
    local one, _, three = group("a"), group("b"), group("c")
    assert.equal("a,c", names(groups("?ids=" .. m.id(one.id) .. "," .. m.id(three.id))))
    assert.equal("a,c", names(groups("?ids=" .. m.id(one.id) .. "&ids=" .. m.id(three.id))))
  end)

  rule("R289", "answers 404 to a deleted group", function()
    local id = m.id(group().id)
    accepted(m.delete("/group/" .. id))
    assert.equal(404, m.get("/group/" .. id).status)
    assert.equal(404, m.put("/group/" .. id, { name = "x" }).status)
    assert.equal(404, m.delete("/group/" .. id).status)
  end)

  rule("R290", "keeps a group that has plans", function()
    plan()
    local id = m.id(groups().content[1].id)
    assert.equal(400, m.delete("/group/" .. id).status)
    assert.equal(200, m.get("/group/" .. id).status)
  end)

  -- Scenes --------------------------------------------------------------------------------------

  rule("R291", "needs name, statisticalMethod, prompt and planId", function()
    local id = plan()
    refused(scene{ planId = id, name = "" }, "name")
    refused(scene{ planId = id, prompt = "" }, "prompt")
    assert.equal(400, scene{ planId = id, statisticalMethod = 1 }.status)
    assert.equal(400, scene{}.status)
  end)

  rule("R292", "knows two statistical methods", function()
    local id = plan()
    accepted(scene{ planId = id, statisticalMethod = "ONLY" })
    refused(scene{ planId = id, statisticalMethod = "SOME" }, "statisticalMethod")
  end)

  rule("R293", "needs a plan that exists", function()
    refused(scene{ planId = 999999 }, "planId")
  end)

  rule("R294", "answers eight fields and no planId", function()
    local made = accepted(scene{ planId = plan() })
    assert.is_nil(made.planId)
    assert.same({ "wants to visit", "GRAND_TOTAL", "agrees", "ext-1" },
      { made.name, made.statisticalMethod, made.prompt, made.externalId })
    assert.truthy(made.id and made.createTime and made.lastUpdateTime and made.sceneType)
  end)

  rule("R295", "makes scenes CUSTOM", function()
    assert.equal("CUSTOM", accepted(scene{ planId = plan() }).sceneType)
  end)

  rule("R297", "keeps externalId in an update without it", function()
    local id = m.id(accepted(scene{ planId = plan() }).id)
    local made = accepted(m.put("/scene/" .. id, { name = "n", prompt = "p", statisticalMethod = "ONLY", planId = 1 }))
    assert.same({ "n", "p", "ext-1", "GRAND_TOTAL" }, { made.name, made.prompt, made.externalId, made.statisticalMethod })
    refused(m.put("/scene/" .. id, { name = "n", prompt = "p", externalId = json.null }), "externalId")
  end)

  rule("R298", "clears externalId by unbinding and answers the scene", function()
    local id = m.id(accepted(scene{ planId = plan() }).id)
    assert.equal(json.null, accepted(m.patch("/scene/" .. id .. "/unbundled-externalId")).externalId)
    assert.equal(json.null, accepted(m.get("/scene/" .. id)).externalId)
  end)

  rule("R299", "answers the scene when there is nothing to unbind", function()
    local id = m.id(accepted(scene{ planId = plan() }).id)
    accepted(m.patch("/scene/" .. id .. "/unbundled-externalId"))
    accepted(m.patch("/scene/" .. id .. "/unbundled-externalId"))
  end)

  rule("R300", "filters scenes by planId and externalId, both exact", function()
    local one, two = plan(), plan()
    accepted(scene{ planId = one, name = "a" })
    accepted(scene{ planId = two, name = "b", externalId = "ext-12" })
    assert.equal("b", names(accepted(m.get("/scene?planId=" .. m.id(two)))))
    assert.equal("a", names(accepted(m.get("/scene?externalId=ext-1"))))
    for _, id in ipairs{ "x", "0", "1.5", "" } do
      refused(m.get("/scene?planId=" .. id), "planId")
    end
  end)

  rule("R302", "lists scenes with the fields of a scene", function()
    local made = accepted(scene{ planId = plan() })
    assert.same(made, accepted(m.get("/scene")).content[1])
  end)

  -- Reports ---------------------------------------------------------------------------------------

  local function dates(query)
    local list = {}
    for i, report in ipairs(accepted(m.reports("123", query)).records) do
      list[i] = report.reportDate
    end
    return table.concat(list, " ")
  end

  rule("R330", "answers the members template as .xlsx with one header row", function()
    local answer = m.get("/members/template")
    assert.equal("PK\3\4", answer.body:sub(1, 4))
    assert.equal('attachment; filename="members_template.xlsx"', answer.headers["content-disposition"])
    assert.truthy(answer.body:find("nickname", 1, true))
  end)

  rule("R356", "filters reports by day and refuses other forms", function()
    assert.equal("2025-04-15", dates("?startDate=2025-04-11&endDate=2025-04-20"))
    assert.equal(400, m.reports("123", "?startDate=2025-04-11+00:00:00").status)
    assert.equal(400, m.reports("123", "?endDate=2025-02-30").status)
  end)

  rule("R357", "includes both days, each optional, and refuses them the wrong way round", function()
    assert.equal("2025-04-21 2025-04-15", dates("?startDate=2025-04-15"))
    assert.equal("2025-04-15 2025-04-10", dates("?endDate=2025-04-15"))
    assert.equal(400, m.reports("123", "?startDate=2025-04-16&endDate=2025-04-15").status)
  end)

  rule("R358", "filters reports by part of their content", function()
    assert.equal("2025-04-15", dates("?keyword=price"))
  end)

  rule("R359", "answers records alone", function()
    local value = accepted(m.reports("123"))
    value.records = nil
    assert.is_nil(next(value))
  end)

  rule("R360", "answers the newest day first", function()
    assert.equal("2025-04-21 2025-04-15 2025-04-10", dates(""))
  end)

  rule("R361", "leaves content out and moodValues empty where there are none", function()
    local last = accepted(m.reports("123")).records[3]
    assert.is_nil(last.content)
    assert.same(array(), last.moodValues)
  end)
end)
