-- SPDX-License-Identifier: MIT
-- The texts of report.html in English and Chinese. The page contains both; the reader switches between them, `lang` chooses the first.

local M = {}

---{ English, Chinese }; %s takes what is filled in, in the same order in both.
M.WORDS = {
  title = { "Import report", "导入报告" },
  -- The verdict.
  finished_all = { "Finished: all %s rows are accepted.", "已完成：全部 %s 行均已被接受。" },
  finished_pending = { "Finished: %s rows were sent and taken over; the platform tells later what became of each.",
    "已完成：%s 行已发送并被平台接收，平台的处理结果尚未返回。" },
  finished_rest = { "Finished: %s of %s rows are accepted; the others are listed below with their reasons.",
    "已完成：%s 行被接受（共 %s 行），其余各行及原因见下文。" },
  finished_none = { "Finished, but the platform has taken none of the %s rows.", "已完成，但 %s 行中没有一行被平台接受。" },
  doubt = { "In doubt: of %s rows nobody knows yet whether they arrived. They are not sent again by themselves.",
    "存疑：有 %s 行无法确定是否已送达，程序不会自动重发。" },
  stopped = { "Stopped: %s rows are accepted, %s rows were provably not sent.", "已停止：%s 行被接受，%s 行确定未发送。" },
  interrupted = { "Interrupted: the process ended before the job did. %s rows are accepted, %s rows were provably not sent.",
    "已中断：进程在任务完成前退出。%s 行被接受，%s 行确定未发送。" },
  planned = { "Planned: nothing has been sent. %s of %s rows would be sent.", "仅完成预检：尚未发送任何数据。将发送 %s 行（共 %s 行）。" },
  planning = { "The plan was not finished; nothing has been sent.", "预检未完成，尚未发送任何数据。" },
  why = { "Why: %s", "原因：%s" },
  uneven = { "The counts do not add up: %s rows are in a state, the list has %s. Trust neither the counts nor the row files.",
    "行数对不上：各状态合计 %s 行，名单共 %s 行。请勿采信这些数字和明细文件。" },
  -- What to do next.
  next = { "What to do next", "下一步" },
  nothing_to_do = { "Nothing: every row is settled.", "无需操作：每一行都有了结果。" },
  do_resolve = { "Settle the rows in doubt, batch by batch: look on the platform whether they arrived, record it (applied, not-applied), "
    .. "then resume.", "逐批处理存疑的行：在平台上核实是否送达，登记结果（applied 或 not-applied），然后继续：" },
  do_resume = { "Send the rows that were not sent:", "继续发送尚未发送的行：" },
  do_retry = { "Correct the rejected rows in rejects.csv, then send only these again:", "在 rejects.csv 中更正被拒绝的行，再只重发这些行：" },
  do_wait = { "Wait for the platform's results; where its callbacks were received, join them:", "等待平台返回结果；如已接收回调，可将其并入：" },
  handed_over = { "What was not sent or was rejected was handed over to a later job:", "未发送或被拒绝的行已移交给后续任务：" },
  forgotten = { "The personal data of this job was erased; the row files are gone on purpose.", "本任务的个人数据已清除，明细文件已按要求删除。" },
  -- Rows by state.
  rows = { "Rows", "行数" },
  state = { "State", "状态" },
  share = { "Share", "占比" },
  meaning = { "Meaning", "含义" },
  file = { "File", "文件" },
  total = { "Rows of the list", "名单总行数" },
  adds_up = { "The states add up to the rows of the list.", "各状态之和等于名单总行数。" },
  accepted = { "accepted", "已接受" },
  accepted_pending = { "accepted, result pending", "已接收，待平台结果" },
  rejected = { "rejected", "被拒绝" },
  duplicate = { "duplicates", "重复" },
  suppressed = { "suppressed", "已屏蔽" },
  unchanged = { "unchanged", "未变化" },
  ambiguous = { "ambiguous", "存疑" },
  pending = { "not sent", "未发送" },
  accepted_is = { "The platform has confirmed them.", "平台已确认。" },
  accepted_pending_is = { "The platform took them over and reports the result of each later.", "平台已接收，逐行结果稍后返回。" },
  rejected_is = { "Left out by a check, or refused by the platform.", "未通过检查，或被平台拒绝。" },
  duplicate_is = { "An earlier row has the same key.", "前面已有相同键的行。" },
  suppressed_is = { "On a list of people who must not be contacted.", "在禁止联系名单中。" },
  unchanged_is = { "Delivered by the earlier job already.", "上一次任务已送达。" },
  ambiguous_is = { "May or may not have arrived.", "可能已送达，也可能没有。" },
  pending_is = { "Provably never reached the platform.", "确定未到达平台。" },
  again = { "%s rows were sent again by order and may be there twice.", "有 %s 行按人工指令重发，平台上可能有两份。" },
  -- Rejected rows.
  reasons = { "Rejected rows by reason", "被拒绝的行（按原因）" },
  by = { "By", "拒绝方" },
  column = { "Column", "列" },
  reason = { "Reason", "原因" },
  by_check = { "check before sending", "发送前检查" },
  by_character = { "character the target lacks", "目标编码缺少的字符" },
  by_platform = { "platform", "平台" },
  whole_call = { "the whole call was refused", "整批被拒绝" },
  others = { "%s other reasons", "其他 %s 种原因" },
  -- Progress.
  progress = { "Progress over time", "进度" },
  run_of = { "Run %s: %s to %s", "第 %s 次运行：%s 至 %s" },
  only_last = { "%s earlier runs are in the table only.", "更早的 %s 次运行仅列于表中。" },
  rows_axis = { "rows accepted per %s", "每 %s 被接受的行数" },
  time_axis = { "seconds per call: line p50, dashes p95", "每次调用秒数：实线 p50，虚线 p95" },
  marks = { "marks under the bars: ▲ repeated calls, ■ slowed down by the platform (429); grey: no answers",
    "柱下标记：▲ 重发的调用，■ 被平台限流（429）；灰色：无应答" },
  as_table = { "The same as a table", "以表格显示" },
  run = { "Run", "运行" },
  from = { "From", "开始" },
  to = { "To", "结束" },
  duration = { "Duration", "时长" },
  calls = { "Calls", "调用次数" },
  accepted_rows = { "Rows accepted", "被接受的行" },
  repeats = { "Repeated", "重发" },
  throttled = { "Slowed (429)", "限流（429）" },
  unclear = { "Unclear", "存疑" },
  median = { "p50", "p50" },
  p95 = { "p95", "p95" },
  p99 = { "p99", "p99" },
  no_calls = { "No call has ended yet.", "尚无已结束的调用。" },
  -- Doubt.
  doubts = { "Batches in doubt", "存疑的批次" },
  batch = { "Batch", "批次" },
  first_row = { "First row", "首行" },
  attempt = { "Attempt", "次数" },
  sent_at = { "Sent at", "发送时间" },
  evidence = { "Evidence", "证据" },
  more_doubts = { "%s more batches are in doubt; campaign status lists them.", "另有 %s 个批次存疑，详见 campaign status。" },
  -- The rest.
  notes = { "Notes", "提示" },
  facts = { "Facts", "详情" },
  job = { "Job folder", "任务目录" },
  target = { "Target", "目标" },
  account = { "Account", "账号" },
  list = { "List", "名单" },
  size = { "Size", "大小" },
  encoding = { "Encoding", "编码" },
  changed = { "Last changed", "修改时间" },
  fingerprint = { "Fingerprint of columns and mapping", "列与映射的指纹" },
  suppress = { "Suppression lists", "屏蔽名单" },
  batches = { "Batches planned", "计划批次" },
  bytes = { "Bytes sent", "发送字节" },
  created = { "Planned at", "预检时间" },
  made = { "Report made at", "报告生成时间" },
  versions = { "Versions", "版本" },
  exit_code = { "Exit code of the last run", "上次运行的退出码" },
  files = { "Files", "文件" },
  retries = { "Retries of rejected rows", "被拒绝行的重试" },
}

local LANGUAGES = { "en", "zh-CN" }

---A phrase in both languages, as HTML; arguments are HTML already.
---@param key string
---@param tag string? of the elements: `span`, or `tspan` inside SVG
---@return string
function M.say(key, tag, ...)
  local word, out = M.WORDS[key], {}
  tag = tag or "span"
  for i, language in ipairs(LANGUAGES) do
    out[i] = ("<%s lang=\"%s\">%s</%s>"):format(tag, language, select("#", ...) > 0 and word[i]:format(...) or word[i], tag)
  end
  return table.concat(out)
end

return M
