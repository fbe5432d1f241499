-- SPDX-License-Identifier: MIT
-- The result of an import as text.

local summary = require "campaign.import.report.summary"

describe("campaign.summary", function()
  it("tells states with reasons, what it took, and where the rows lie", function()
    assert.are.equal(table.concat({
      "finished",
      "  10,000  rows",
      "   9,890  accepted",
      "     110  rejected",
      "          60  phone check mobile_cn",
      "          50  name unmappable (U+4DAE, U+3402, U+20BB7, U+1F389, and 1 more)",
      "  1 request, 1.2 MB, 0.4 s",
      "  rejected rows: jobs/1/rejects.csv",
    }, "\n"), summary.text{
      state = "finished", rows = 10000, accepted = 9890, accepted_pending = 0, rejected = 110, requests = 1, bytes = 1234567,
      seconds = 0.42, rejects_file = "jobs/1/rejects.csv", reasons = {
        { state = "rejected", cause = "invalid", column = "phone", reason = "check mobile_cn", count = 60 },
        { state = "rejected", cause = "unmappable", column = "name", reason = "unmappable", code = "U+4DAE", count = 20 },
        { state = "rejected", cause = "unmappable", column = "name", reason = "unmappable", code = "U+3402", count = 20 },
        { state = "rejected", cause = "unmappable", column = "name", reason = "unmappable", code = "U+20BB7", count = 5 },
        { state = "rejected", cause = "unmappable", column = "name", reason = "unmappable", code = "U+1F389", count = 4 },
        { state = "rejected", cause = "unmappable", column = "name", reason = "unmappable", code = "U+1F44D", count = 1 },
      },
    })
  end)

  it("puts the reasons that are too many into one line", function()
    local reasons = {}
    for index = 1, 20 do
      reasons[index] = { state = "rejected", reason = "r" .. index, count = 2 }
    end
    local text = summary.text{ state = "finished", rows = 40, rejected = 40, reasons = reasons, requests = 2 }
    assert.is_truthy(text:find("2  r12\n", 1, true))
    assert.is_falsy(text:find("r13", 1, true))
    assert.is_truthy(text:find("16  for other reasons\n", 1, true))
  end)

  it("names the cause where no column has one", function()
    local text = summary.text{ state = "stopped", rows = 2, ambiguous = 2, requests = 1, bytes = 9, seconds = 1,
      reasons = { { state = "ambiguous", cause = "cut_reply", count = 2 } } }
    assert.is_truthy(text:find("\n +2  cut reply\n"), text)
    assert.are.equal("stopped\n  2  rows\n  2  provably not sent\n  0 requests, 0 B, 0.0 s", (summary.text{ state = "stopped",
      rows = 2, pending = 2, requests = 0, bytes = 0, seconds = 0, reasons = { { state = "pending", count = 2 } } }
      :gsub("0 bytes", "0 B")))
  end)

  it("names what is in doubt and what was not sent", function()
    local text = summary.text{ state = "stopped", rows = 30, ambiguous = 10, pending = 20, requests = 1, ambiguous_file = "a.csv",
      not_sent_file = "n.csv" }
    assert.is_truthy(text:find("10  ambiguous: may or may not have arrived", 1, true))
    assert.is_truthy(text:find("20  provably not sent", 1, true))
    assert.is_truthy(text:find("ambiguous rows: a.csv", 1, true))
    assert.is_truthy(text:find("rows not sent: n.csv", 1, true))
  end)
end)
