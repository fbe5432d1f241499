-- SPDX-License-Identifier: MIT
-- What stands apart at HYPERS: the members template, and the daily reports of one member (a seeded one; nothing in
-- the documents makes new ones).

local clock = require "campaign.sandbox.clock"
local json = require "campaign.sandbox.json"
local pages = require "campaign.sandbox.hypers_pages"
local sheet = require "campaign.sandbox.sheet"

local M = { handlers = {} }

function M.handlers.get_marketing_members_template(self)
  if not self.app:on("R330") then
    return { status = 200, headers = { { "content-type", "text/csv" } }, body = "userId,ciq,nickname\r\n" }
  end
  return {
    status = 200, body = sheet.write{ { "userId", "ciq", "nickname" } },
    headers = {
      { "content-type", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" },
      { "content-disposition", 'attachment; filename="members_template.xlsx"' },
    },
  }
end

-- The days asked for, or nil and the refusal.
local function days(self, request)
  local app, asked = self.app, {}
  for _, name in ipairs{ "startDate", "endDate" } do
    local text = pages.first(request, name)
    asked[name] = text and clock.parse_date(text)
    if text and not asked[name] and app:on("R356") then
      return nil, self:bad(name, "invalid", "expected yyyy-MM-dd")
    end
  end
  if asked.startDate and asked.endDate and asked.startDate > asked.endDate and app:on("R357") then
    return nil, self:bad("startDate", "invalid", "is after endDate")
  end
  return asked
end

local function show(app, report)
  local moods = app:on("R361") and report.moodValues or json.array{ "平静" }
  return json.ordered("reportDate", report.reportDate, "moodValues", moods, "scenes", report.scenes,
    "content", report.content)
end

function M.handlers.list_member_daily_reports(self, request)
  local app = self.app
  local member = app.state.hypers.members[request.params.id]
  if not member then
    return self:refuse(app:on("R284") and 404 or 400, "no such member")
  end
  local asked, refused = days(self, request)
  if not asked then
    return refused
  end
  local word = app:on("R358") and pages.first(request, "keyword") or nil
  local records = json.array()
  for _, report in ipairs(member.reports) do
    local day = clock.parse_date(report.reportDate)
    local inside = not app:on("R356")
      or ((not asked.startDate or day >= asked.startDate) and (not asked.endDate or day <= asked.endDate))
    if inside and (not word or (report.content or ""):find(word, 1, true)) then
      records[#records + 1] = show(app, report)
    end
  end
  table.sort(records, function(a, b)
    if app:on("R360") then
      return a.values.reportDate > b.values.reportDate
    end
    return a.values.reportDate < b.values.reportDate
  end)
  local page = not app:on("R359") and json.ordered("current", 0, "size", #records, "total", #records) or nil
  return self:success(request, json.ordered("records", records, "page", page))
end

return M
