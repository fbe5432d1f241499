-- SPDX-License-Identifier: MIT
-- report.html: one file without scripts and external resources. It answers, in this order: is the job done, and what is to be done next (for the
-- user); do the counts add up, and what became of the rest (for a manager); how did it go, and what is known of failures (for an engineer). Facts
-- come from page_facts; texts that are not ours pass through html.own.

local accounting = require "campaign.import.report.accounting"
local charts = require "campaign.import.report.page_charts"
local core = require "campaign.core"
local html = require "campaign.import.report.html"
local human = require "campaign.human"
local shell_quote = require "campaign.shell_quote"
local style = require "campaign.import.report.page_style"
local words = require "campaign.import.report.page_words"

local M = {}

local say = words.say

-- Reasons that have a line of their own.
local MOST_REASONS = 25

local function word(key, ...)
  return say(key, nil, ...)
end

local function count(number)
  return human.count(number)
end

local function command(...)
  local list = { ... }
  for i, part in ipairs(list) do
    list[i] = shell_quote(part)
  end
  return "<pre tabindex=\"0\"><code>campaign " .. html.plain(table.concat(list, " ")) .. "</code></pre>"
end

-- The verdict in a sentence, and its style: good, some (finished, not all rows accepted), bad.
local function verdict(facts)
  local counts = facts.counts
  local taken = counts.accepted + counts.accepted_pending
  if facts.state == "planning" then
    return word("planning"), "some"
  elseif facts.state == "planned" then
    return word("planned", count(facts.planned), count(facts.rows)), "some"
  elseif facts.sum ~= facts.rows then
    return word("uneven", count(facts.sum), count(facts.rows)), "bad"
  elseif facts.state == "interrupted" then
    return word("interrupted", count(taken), count(counts.pending)), "bad"
  elseif facts.state ~= "finished" or counts.pending > 0 then
    return word("stopped", count(taken), count(counts.pending)), "bad"
  elseif taken == 0 and counts.rejected > 0 and counts.ambiguous == 0 then
    return word("finished_none", count(facts.rows)), "bad"
  elseif taken < facts.rows then
    return word("finished_rest", count(taken), count(facts.rows)), "some"
  elseif counts.accepted_pending > 0 then
    return word("finished_pending", count(taken)), "good"
  end
  return word("finished_all", count(facts.rows)), "good"
end

local function steps(facts)
  local counts, out = facts.counts, {}
  local function add(text, ...)
    out[#out + 1] = "<li>" .. text .. table.concat({ ... }) .. "</li>"
  end
  if facts.handed_over then
    add(word("handed_over"), command("status", facts.handed_over))
    return "<ul>" .. table.concat(out) .. "</ul>"
  end
  local is_open = facts.state ~= "finished" or counts.pending > 0
  if counts.ambiguous > 0 then
    local first = facts.doubtful[1] and ("%d"):format(facts.doubtful[1].batch) or "N"
    add(word("do_resolve"), facts.can_probe and command("resolve", facts.folder, "--probe") or "",
      command("resolve", facts.folder, "--batch", first, "--as", "applied"), is_open and "" or command("resume", facts.folder))
  end
  if is_open then
    add(word("do_resume"), command("resume", facts.folder))
  elseif counts.rejected > 0 and not facts.forgotten then
    add(word("do_retry"), command("retry", facts.folder))
  end
  if facts.awaits_callbacks and counts.accepted_pending + counts.ambiguous > 0 then
    add(word("do_wait"), command("resolve", facts.folder, "--callbacks", "DIR"))
  end
  return #out > 0 and "<ol>" .. table.concat(out) .. "</ol>" or "<p>" .. word("nothing_to_do") .. "</p>"
end

local function verdict_section(facts)
  local sentence, look = verdict(facts)
  look = facts.counts.ambiguous > 0 and "bad" or look
  local out = { ("<section class=\"verdict %s\"><p class=\"sentence\"><strong>%s</strong></p>"):format(look, sentence) }
  if facts.counts.ambiguous > 0 then
    out[#out + 1] = "<p><strong>" .. word("doubt", count(facts.counts.ambiguous)) .. "</strong></p>"
  end
  local err = facts.error
  if err then
    local told = html.plain(tostring(err.message or err.kind)) .. (err.hint and " — " .. html.plain(tostring(err.hint)) or "")
    out[#out + 1] = "<p>" .. word("why", "<bdi>" .. told .. "</bdi>") .. "</p>"
  end
  if facts.forgotten then
    out[#out + 1] = "<p>" .. word("forgotten") .. "</p>"
  end
  out[#out + 1] = "<h2>" .. word("next") .. "</h2>" .. steps(facts) .. "</section>"
  return table.concat(out)
end

local function percent(part, whole)
  local share = whole > 0 and part / whole * 100 or 0
  if part > 0 and share < 0.01 then
    return "&lt; 0.01 %"
  elseif part < whole and share > 99.99 then
    return "&gt; 99.99 %"
  end
  return ("%.2f %%"):format(share)
end

-- A file of the job folder, beside the page or not.
local function link(name, is_beside)
  local shown = html.plain(name)
  return is_beside and ("<a href=\"%s\">%s</a>"):format(shown, shown) or shown
end

local function rows_section(facts, is_beside)
  local counts, rows = facts.counts, {}
  for _, state in ipairs(accounting.STATES) do
    if counts[state] > 0 or state == "accepted" or state == "rejected" or state == "ambiguous" then
      rows[#rows + 1] = { "<i class=\"key " .. state .. "\"></i>" .. word(state), count(counts[state]), percent(counts[state], facts.rows),
        word(state .. "_is"), facts.files[state] and link(facts.files[state], is_beside) or "" }
    end
  end
  local again = (facts.possibly_duplicated or 0) > 0 and "<p>" .. word("again", count(facts.possibly_duplicated)) .. "</p>" or ""
  local is_even = facts.sum == facts.rows
  return "<section><h2>" .. word("rows") .. "</h2>" .. (facts.sum > 0 and charts.states(counts, facts.sum) or "")
    .. html.table(is_even and word("adds_up") or facts.state:find("^plann") and word("rows") or word("uneven", count(facts.sum), count(facts.rows)),
      { word("state"), word("rows"), word("share"), word("meaning"), word("file") }, rows, { [2] = true, [3] = true },
      { word("total"), count(facts.rows), "", "", "" }) .. again .. "</section>"
end

-- What distinguishes reasons of one text: a code of the platform, or the character that the target lacks.
local function code_of(reason)
  if reason.code == nil or reason.code == "" then
    return ""
  end
  local shown = reason.cause == "unmappable" and human.character(reason.code) or ""
  return " (" .. html.own(shown == "" and reason.code or reason.code .. " " .. shown, 80) .. ")"
end

local BY = { invalid = "by_check", unmappable = "by_character", platform = "by_platform" }

local function reasons_section(facts)
  if facts.counts.rejected == 0 then
    return ""
  end
  local rows, rest, more = {}, facts.unexplained, 0
  local longest = math.max(rest, facts.reasons[1] and facts.reasons[1].count or 1)
  for i, reason in ipairs(facts.reasons) do
    if i <= MOST_REASONS then
      local why = reason.reason and html.own(reason.reason) or reason.cause == "platform" and word("whole_call") or ""
      rows[i] = { why .. code_of(reason),
        reason.column and html.own(reason.column, 80) or "", word(BY[reason.cause] or "by_platform"), count(reason.count),
        charts.share(reason.count / longest) }
    else
      rest, more = rest + reason.count, more + 1
    end
  end
  if rest > 0 then
    rows[#rows + 1] = { more > 0 and word("others", count(more)) or word("whole_call"), "", "", count(rest), charts.share(rest / longest) }
  end
  return "<section><h2>" .. word("reasons") .. "</h2>" .. html.table(word("reasons"),
    { word("reason"), word("column"), word("by"), word("rows"), "" }, rows, { [4] = true }) .. "</section>"
end

local function milliseconds(value)
  if not value then
    return ""
  elseif value < 1 then
    return "&lt; 1 ms"
  end
  return value < 1000 and ("%d ms"):format(value) or ("%.3g s"):format(value / 1000)
end

local FIGURES = { "calls", "rows", "repeats", "throttled", "unclear" }
local FIGURE_WORDS = { "calls", "accepted_rows", "repeats", "throttled", "unclear" }

local function figures(first, of)
  local cells = first
  for _, name in ipairs(FIGURES) do
    cells[#cells + 1] = count(of[name])
  end
  for _, name in ipairs({ "p50", "p95", "p99" }) do
    cells[#cells + 1] = milliseconds(of[name])
  end
  return cells
end

local function figure_heads(first)
  for _, name in ipairs(FIGURE_WORDS) do
    first[#first + 1] = word(name)
  end
  first[#first + 1], first[#first + 2], first[#first + 3] = word("median"), word("p95"), word("p99")
  return first
end

-- The set of numeric columns: all from this one on.
local function from(first)
  return setmetatable({}, { __index = function(_, column) return column >= first end })
end

local function run_figure(run, pause)
  local rows = {}
  for number = 0, run.last do
    if run.slots[number] then
      rows[#rows + 1] = figures({ charts.clock(run, number), charts.clock(run, number + 1) }, run.slots[number])
    end
  end
  pause()
  local chart = charts.course(run)
  pause()
  return "<figure><figcaption>" .. word("run_of", count(run.number), html.instant(run.began), html.instant(run.ended)) .. "</figcaption>"
    .. chart .. "<details><summary>" .. word("as_table") .. "</summary>"
    .. html.table(word("run_of", count(run.number), html.instant(run.began), html.instant(run.ended)),
      figure_heads({ word("from"), word("to") }), rows, from(3)) .. "</details></figure>"
end

local function progress_section(facts, pause)
  local out, rows, charted = { "<section><h2>" .. word("progress") .. "</h2>" }, {}, 0
  if #facts.runs == 0 then
    return out[1] .. "<p>" .. word("no_calls") .. "</p></section>"
  end
  for _, run in ipairs(facts.runs) do
    rows[#rows + 1] = figures({ count(run.number), html.instant(run.began), charts.seconds(run.ended - run.began) }, run)
    if run.slots then
      charted = charted + 1
      pause()
      out[#out + 1] = run_figure(run, pause)
    end
  end
  out[#out + 1] = "<p class=\"small\">" .. word("marks") .. "</p>"
  if facts.runs_before + #facts.runs > charted then
    out[#out + 1] = "<p>" .. word("only_last", count(facts.runs_before + #facts.runs - charted)) .. "</p>"
  end
  out[#out + 1] = html.table(word("calls"), figure_heads({ word("run"), word("from"), word("duration") }), rows, from(3)) .. "</section>"
  return table.concat(out)
end

-- Fields of an attempt that are shown as evidence, each with the text before it.
local EVIDENCE = { { "cause", "" }, { "status", "HTTP " }, { "code", "code " }, { "detail", "" } }

local function doubts_section(facts)
  if #facts.doubtful == 0 then
    return ""
  end
  local rows = {}
  for i, doubt in ipairs(facts.doubtful) do
    local told = {}
    for _, part in ipairs(EVIDENCE) do
      local value = doubt[part[1]]
      if value ~= nil and value ~= "" then
        told[#told + 1] = part[2] .. html.own(value, 200)
      end
    end
    rows[i] = { count(doubt.batch), count(doubt.first_row), count(doubt.rows), doubt.attempt and count(doubt.attempt) or "",
      doubt.began and html.instant(doubt.began) or "", table.concat(told, "; ") }
  end
  local more = facts.doubts - #facts.doubtful
  return "<section><h2>" .. word("doubts") .. "</h2>" .. html.table(word("doubts"), { word("batch"), word("first_row"), word("rows"), word("attempt"),
    word("sent_at"), word("evidence") }, rows, { true, true, true, true }) .. (more > 0 and "<p>" .. word("more_doubts", count(more)) .. "</p>" or "")
    .. "</section>"
end

local function notes_section(facts)
  local out = {}
  for _, list in ipairs({ facts.warnings, facts.notes }) do
    for _, note in ipairs(list) do
      out[#out + 1] = "<li>" .. html.own(note, 600) .. "</li>"
    end
  end
  return #out > 0 and "<section><h2>" .. word("notes") .. "</h2><ul>" .. table.concat(out) .. "</ul></section>" or ""
end

local function facts_section(facts, is_beside)
  local out = { "<section><h2>" .. word("facts") .. "</h2><dl>" }
  local function add(key, value)
    if value then
      out[#out + 1] = "<dt>" .. word(key) .. "</dt><dd>" .. value .. "</dd>"
    end
  end
  local list = facts.list
  add("target", html.own(facts.to))
  add("account", facts.account and html.own(facts.account))
  add("list", html.plain(facts.mapped or list.path) .. (facts.mapped and " → " .. html.plain(list.path) or ""))
  add("size", human.bytes(list.bytes))
  add("changed", html.instant(list.mtime))
  add("encoding", html.own(list.encoding))
  add("fingerprint", facts.fingerprint and html.plain(facts.fingerprint))
  for _, entry in ipairs(facts.suppress) do
    add("suppress", html.own(entry.label) .. ": " .. count(entry.keys or 0))
  end
  add("batches", facts.batches and count(facts.batches))
  add("calls", count(facts.calls))
  add("repeats", count(facts.repeats))
  add("bytes", human.bytes(facts.bytes))
  add("created", html.instant(facts.created))
  add("exit_code", facts.exit_code and ("%d"):format(facts.exit_code))
  add("job", html.plain(facts.folder))
  local files = {}
  for _, name in ipairs({ "report.json", "batches.jsonl", "job.json" }) do
    files[#files + 1] = link(name, is_beside)
  end
  add("files", table.concat(files, ", "))
  for number = 1, math.min(facts.retries, 20) do
    add("retries", link(("retry-%d/report.html"):format(number), is_beside))
  end
  add("made", html.instant(facts.now))
  add("versions", "campaign " .. html.plain(facts.version) .. ", " .. (rawget(_G, "jit") and jit.version or _VERSION))
  out[#out + 1] = "</dl></section>"
  return table.concat(out)
end

local function base_name(path)
  return path:match("[^/]+$") or path
end

local HEAD = [[<!DOCTYPE html>
<html lang="%s"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">
<title>%s</title><style>%s</style></head><body>
]]

-- The language is switched without a script: the style shows the language of the selected button.
local SWITCH = [[<input type="radio" name="lang" id="en"%s><label for="en" lang="en">English</label>
<input type="radio" name="lang" id="zh"%s><label for="zh" lang="zh-CN">中文</label>
<main>
]]

---The page.
---@param facts table of page_facts
---@param options { lang: "en"|"zh"|nil, is_beside: boolean?, pause: fun()? }? is_beside: it lies in the job folder, and links to its files
---@return string
function M.text(facts, options)
  options = options or {}
  local pause, is_beside = options.pause or function() end, options.is_beside
  local is_chinese = options.lang == "zh"
  local name = base_name(facts.mapped or facts.list.path)
  local hash = core.digest.base64_encode(core.digest.of("sha256", style))
  local out = {
    HEAD:format(is_chinese and "zh-CN" or "en", hash, html.plain(name .. " → " .. facts.to), style),
    SWITCH:format(is_chinese and "" or " checked", is_chinese and " checked" or ""),
    "<header><h1>" .. word("title") .. "</h1><p><bdi>" .. html.plain(name) .. "</bdi> → <bdi>" .. html.text(facts.to) .. "</bdi></p></header>\n",
  }
  for _, section in ipairs({ verdict_section, rows_section, reasons_section }) do
    pause()
    out[#out + 1] = section(facts, is_beside) .. "\n"
  end
  out[#out + 1] = progress_section(facts, pause) .. "\n"
  for _, section in ipairs({ doubts_section, notes_section, facts_section }) do
    pause()
    out[#out + 1] = section(facts, is_beside) .. "\n"
  end
  out[#out + 1] = "</main></body></html>\n"
  return table.concat(out)
end

return M
