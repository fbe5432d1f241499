-- SPDX-License-Identifier: MIT
-- The options of every command, in one place: what `campaign help` prints and what docs/cli.md lists.

local argparse = require "argparse"
local sorted = require "campaign.sorted"
local stop_rule = require "campaign.import.run.stop_rule"

local M = {}

-- By command: adds it to a parser, and returns its own parser.
local ADD = {}

-- Converters of values: the value, or nil and what it must be.

local function integer(text)
  return text:find("^%d+$") and #text <= 9 and tonumber(text) or nil, "must be a whole number"
end

local function count(text)
  local value = integer(text)
  return value and value >= 1 and value <= 1000000 and value or nil, "must be a whole number from 1 to 1000000"
end

-- "17" or "17-32": the first and the last.
local function batches(text)
  local first, last = text:match("^(%d+)%-(%d+)$") -- linear: a dash between
  first = integer(first or text)
  last = last and integer(last) or not last and first
  if not first or not last or first < 1 or last < first then
    return nil, "must be the number of a batch, or a range: 17, 17-32"
  end
  return { first, last }
end

local function number(text)
  local value = tonumber(text)
  return value and value >= 0 and value < math.huge and value or nil, "must be a number"
end

local function rate(text)
  local value = number(text)
  return value and value > 0 and value <= 100000 and value or nil, "must be a number of calls per second above 0 (at most 100000)"
end

local function seconds(text)
  local value = number(text)
  return value and value > 0 and value <= 86400 and value or nil, "must be a number of seconds above 0 (at most a day)"
end

local function max_reject(text)
  local rule, why = stop_rule.read(text)
  return rule and text or nil, why
end

-- An option whose value is converted.
local function add_value(command, name, doc, argname, convert)
  command:option(name, doc):argname(argname):convert(function(text)
    local value, why = convert(text)
    return value, value == nil and ("%s '%s' %s"):format(name, text, why) or nil
  end)
end

-- Lines that can be typed, below the options of a command.
local function add_examples(command, ...)
  command:epilog("Examples:\n   " .. table.concat({ ... }, "\n   "))
end

local function add_json(command, text)
  command:flag("--json", text or "Errors as JSON on stderr.")
end

local function add_account(command)
  command:option("--account", "Account in the accounts file."):argname("NAME")
end

local function add_parameters(command)
  command:option("-p --param", "Set a field by its wire name: name=text, a.b[0]=text, or name:=json. "
    .. "Repeatable. Secrets belong in the environment or the accounts file."):argname("NAME=VALUE"):count("*")
end

function ADD.operations(parser)
  local command = parser:command("operations", "List the operations of the platforms.")
  command:argument("platform", "Only those of this platform."):args("?")
  command:option("--format", "Output format (default: table)."):choices{ "table", "tsv", "json" }
  add_json(command, "The same as --format json; errors as JSON on stderr.")
  add_examples(command, "campaign operations", "campaign operations longlong --format tsv")
  return command
end

function ADD.describe(parser)
  local command = parser:command("describe", "Show what a platform offers, or what an operation takes and returns.")
  command:argument("target", "PLATFORM or PLATFORM.OPERATION; a platform may be the path of its file.")
  command:option("--format", "Output format: text; for a whole platform also a Markdown reference, or types for editors.")
    :choices{ "text", "markdown", "types" }:default("text")
  command:option("-o --output", "File to write instead of stdout."):argname("FILE")
  add_json(command, "The description as JSON on stdout; errors as JSON on stderr.")
  add_examples(command, "campaign describe longlong", "campaign describe longlong.import_customers_async", "campaign describe ./courier.lua")
  return command
end

function ADD.openapi(parser)
  local command = parser:command("openapi", "Write a platform as an OpenAPI 3.1 document (JSON).")
  command:argument("platform", "Name of a platform, or the path of its file.")
  command:option("-o --output", "File to write instead of stdout."):argname("FILE")
  add_json(command)
  add_examples(command, "campaign openapi longlong -o longlong.json")
  return command
end

function ADD.call(parser)
  local command = parser:command("call", "Call one operation; the reply is printed as JSON.")
  command:argument("operation", "PLATFORM.OPERATION")
  add_parameters(command)
  command:option("--body", "Read fields from a JSON object in FILE, or from stdin with -."):argname("FILE")
  command:option("-o --output --out", "File for the reply instead of stdout; required when the reply is a file."):argname("FILE")
  add_value(command, "--timeout", "Time limit of the call (default: 60, more for large uploads).", "SECONDS", seconds)
  command:option("--window", "During a platform's closed hours: refuse (default) or ignore them."):choices{ "refuse", "ignore" }
  command:flag("--accept-public-file", "Accept that anyone who knows its id can read the uploaded file.")
  command:mutex(
    command:option("--record", "Append the exchange to FILE, without secrets and personal data."):argname("FILE"),
    command:option("--replay", "Send nothing; answer from a FILE written by --record."):argname("FILE"))
  add_account(command)
  add_json(command)
  add_examples(command, "campaign call outbound.get_contact_group_detail",
    "campaign call outbound.upload_dnc_json -p dataSourceName=acme-dnc -p 'dataList:=[\"3a5b070f\"]'")
  return command
end

function ADD.wait(parser)
  local command = parser:command("wait", "Wait until a platform reaches a state; the final reply is printed as JSON.")
  command:argument("waiter", "PLATFORM.WAITER, for example hypers.notification_task_finished.")
  add_parameters(command)
  command:option("--deadline", "Give up after this time: 90s, 15m, 2h, 1d."):argname("TIME")
  command:option("--state", "Keep the wait in FILE, so that the same command continues it after an interruption."):argname("FILE")
  add_account(command)
  add_json(command, "Errors as JSON on stderr; no progress.")
  add_examples(command, "campaign wait hypers.notification_task_finished -p taskId=42 --deadline 2h --state wait.json")
  return command
end

-- What every command takes that sends a list: the part of import/run_options.lua that can be written on a command line.
local function add_run(command)
  add_value(command, "--concurrency", "Maximum number of requests in flight (default: adapted while the import runs).", "N", count)
  add_value(command, "--rate", "Maximum calls per second, shared by all imports into the account on this machine.", "N", rate)
  add_value(command, "--max-reject", "Stop when the platform refuses more than this share of the rows sent (5%), or this many rows; or none.",
    "SHARE", max_reject)
  add_value(command, "--bisect", "Maximum calls spent on finding the bad rows of one refused batch; 0 for none.", "N", integer)
  command:option("--window", "During a platform's closed hours: wait (default), refuse or ignore them."):choices{ "wait", "refuse", "ignore" }
  command:option("--busy", "While another import of yours sends to the same target: wait (default) or refuse."):choices{ "wait", "refuse" }
  add_account(command)
  command:option("--progress", "Progress on stderr: a line for people (nothing with --json); json, one event a line; or none.")
    :choices{ "auto", "json", "none" }:default("auto")
  add_json(command, "The result as JSON on stdout; errors as JSON on stderr.")
end

local function add_workbook(command)
  command:option("--sheet", "The sheet of a workbook (default: the first visible one)."):argname("NAME")
  add_value(command, "--header-row", "The row of the sheet that names the columns (default: the first that is not blank).", "N", count)
end

function ADD.import(parser)
  local command = parser:command("import", "Import a contact list and account for every row.")
  command:argument("file", "CSV file with a header line, or Excel workbook (.xlsx)."):convert(M.list_file)
  add_workbook(command)
  command:option("--to", "PLATFORM.OPERATION that takes rows."):argname("PLATFORM.OPERATION"):count(1)
  add_parameters(command)
  command:option("--map", "Take a field from a column: phone=手机号, components.<id>=等级; or a script that returns a function "
    .. "for each row: fix.lua. Repeatable.")
    :argname("FIELD=COLUMN"):count("*")
  command:option("--set", "Give all rows the same value: identityType=phone. Repeatable."):argname("FIELD=VALUE"):count("*")
  command:option("--split", "Split a column into a list: groups=';'. Repeatable."):argname("FIELD=SEPARATOR"):count("*")
  command:option("--check", "Check a field or column: phone=mobile_cn. Repeatable."):argname("FIELD=CHECK"):count("*")
  command:option("--unique", "Of rows with the same text in this field or column, send only the first."):argname("FIELD")
  command:option("--suppress", "Leave out rows whose key is in that column of a file: dnc.csv:phone, dnc.csv:mobile=phone, "
    .. "dnc.txt:#1=phone. Repeatable.")
    :argname("FILE:COLUMN[=FIELD]"):count("*")
  command:option("--since", "Send only rows that are new or changed since an earlier job."):argname("JOB")
  command:flag("--keep-keys", "Keep what a later --since needs for lists over 64 MiB too.")
  command:option("--on-unmappable", "For characters that the target's encoding lacks: reject the row, fail, or map:FILE.")
    :argname("WHAT"):default("reject")
  command:option("--encoding", "Encoding of the file: utf-8, gbk, gb18030, utf-16le, utf-16be (default: detected)."):argname("NAME")
  command:option("--delimiter", "Column separator: a comma (default), a semicolon, tab, or auto."):argname("CHARACTER"):convert(M.delimiter)
  add_value(command, "--rows-per-call", "Maximum rows in one call.", "N", count)
  add_value(command, "--rows-per-file", "Maximum rows in one uploaded file.", "N", count)
  command:option("--job", "Folder for the job's files; must be new or empty (default: one under campaign-jobs)."):argname("DIR")
    :convert(M.folder)
  command:flag("--overwrite", "Replace what is there with the first file.")
  command:flag("--accept-public-file", "Accept that anyone who knows its id can read the uploaded file.")
  command:flag("--dry-run", "Check everything, send nothing, print the plan.")
  add_run(command)
  add_examples(command, "campaign import people.csv --to longlong.import_customers_async --check phone=mobile_cn --dry-run",
    "campaign import people.csv --to outbound.upload_contacts_file -p dataSourceName=autumn",
    "campaign import people.csv --to longlong.import_customers_async --suppress dnc.csv:phone",
    "campaign import people.csv --to longlong.import_customers_async --since campaign-jobs/JOB",
    "campaign import people.xlsx --sheet 名单 --to longlong.import_customers_async")
  return command
end

function ADD.members(parser)
  local command = parser:command("members", "Write the Excel file of members for an operation from a list; nothing is sent.")
  command:argument("file", "CSV file with a header line, or Excel workbook (.xlsx)."):convert(M.list_file)
  add_workbook(command)
  command:option("--to", "PLATFORM.OPERATION that takes such files."):argname("PLATFORM.OPERATION"):count(1)
  command:option("-o --output", "The file to write; its name must end in .xlsx."):argname("FILE"):count(1)
  command:option("--variable", "A column that every row must fill: one that message texts name as {{NAME}}. Repeatable."):argname("NAME"):count("*")
  command:option("--map", "Take a column of the sheet from a column of the list: userId=编号. Repeatable."):argname("NAME=COLUMN"):count("*")
  command:option("--set", "Give all rows the same value: shop=Pudong. Repeatable."):argname("NAME=VALUE"):count("*")
  command:option("--check", "Check a column: phone=mobile_cn. Repeatable."):argname("NAME=CHECK"):count("*")
  command:option("--unique", "Of rows with the same text in this column, write only the first."):argname("NAME")
  command:option("--replace", "Table of characters to replace, one `character=replacement` a line."):argname("FILE")
  command:option("--encoding", "Encoding of the list: utf-8, gbk, gb18030, utf-16le, utf-16be (default: detected)."):argname("NAME")
  command:option("--delimiter", "Column separator: a comma (default), a semicolon, tab, or auto."):argname("CHARACTER"):convert(M.delimiter)
  add_value(command, "--rows-per-file", "Write several files of at most N rows: -1, -2, ... before .xlsx.", "N", count)
  command:option("--temporary", "Folder for temporary files (default: that of the output)."):argname("DIR")
  add_json(command, "The result as JSON on stdout; errors as JSON on stderr; no progress.")
  add_examples(command, "campaign members people.csv --to hypers.create_notification_task -o members.xlsx")
  return command
end

local function add_job(command)
  command:argument("job", "The job's folder."):argname("JOB")
end

function ADD.resume(parser)
  local command = parser:command("resume", "Continue an import that was interrupted or stopped.")
  add_job(command)
  add_run(command)
  add_examples(command, "campaign resume campaign-jobs/JOB", "campaign resume campaign-jobs/JOB --rate 20 --max-reject 5%")
  return command
end

function ADD.status(parser)
  local command = parser:command("status", "Show what the ledger of an import says.")
  add_job(command)
  add_json(command, "The counts as JSON on stdout; errors as JSON on stderr.")
  add_examples(command, "campaign status campaign-jobs/JOB", "campaign status campaign-jobs/JOB --json")
  return command
end

function ADD.report(parser)
  local command = parser:command("report", "Make report.html of an import from its ledger: verdict, counts, charts.")
  add_job(command)
  command:option("-o --output", "File to write instead of report.html in the job's folder."):argname("FILE")
  command:option("--lang", "Language that is shown first; the page can be switched."):choices{ "en", "zh" }:default("en")
  add_json(command, "The path as JSON on stdout; errors as JSON on stderr.")
  add_examples(command, "campaign report campaign-jobs/JOB", "campaign report campaign-jobs/JOB --lang zh -o report.html")
  return command
end

function ADD.resolve(parser)
  local command = parser:command("resolve", "Say what became of a batch whose outcome is unknown.")
  add_job(command)
  add_value(command, "--batch", "The batch, as `campaign status` lists it; or all in doubt from one to another: 17-32. Required with --as.",
    "N", batches)
  command:option("--as", "What became of it: applied, not-applied (`resume` sends it), or resend (`resume` sends it, "
    .. "though it may arrive twice)."):argname("WHAT")
    :choices{ "applied", "not-applied", "resend" }
  command:flag("--probe", "Ask the platform instead, where it can be asked, about this batch or all in doubt. Sends no rows.")
  command:option("--callbacks", "Join the results that `campaign listen --store DIR` kept to their batches. Sends nothing."):argname("DIR")
  command:option("--note", "Who found out, and how; kept in the ledger with --as."):argname("TEXT")
  add_account(command)
  add_json(command)
  add_examples(command, "campaign resolve JOB --probe", "campaign resolve JOB --batch 17 --as applied --note 'seen in their console'",
    "campaign resolve JOB --batch 17-32 --as not-applied")
  return command
end

function ADD.verify(parser)
  local command = parser:command("verify", "Prove that list, ledger, reports and server say the same of every row.")
  add_job(command)
  command:mutex(
    command:option("--server-log", "Log of what the server committed: one JSON object a line, with the row as sent in its member "
    .. "`row`."):argname("FILE"),
    command:option("--sandbox", "Compare with the commits of the sandbox at URL (default: CAMPAIGN_SANDBOX_URL).")
      :argname("URL"):args("?"):convert(M.url))
  add_value(command, "--after", "Ignore entries of the log up to this number.", "N", integer)
  add_json(command, "The figures as JSON on stdout; errors as JSON on stderr.")
  add_examples(command, "campaign verify JOB", "campaign verify JOB --sandbox", "campaign verify JOB --server-log commits.jsonl")
  return command
end

function ADD.forget(parser)
  local command = parser:command("forget", "Erase the personal data of a job; its counts stay.")
  add_job(command)
  command:flag("--all", "Remove the whole job, its ledger and counts too.")
  command:flag("--force", "Also a job that is not settled; never one that is running.")
  add_json(command, "What was removed as JSON on stdout; errors as JSON on stderr.")
  add_examples(command, "campaign forget campaign-jobs/JOB", "campaign forget campaign-jobs/JOB --all")
  return command
end

function ADD.recover(parser)
  local command = parser:command("recover", "Rebuild the damaged ledger of a job from what can be read of it.")
  add_job(command)
  command:flag("--trust-pending", "Trust intact records of batches not yet sent; without it such batches are in doubt.")
  add_account(command)
  add_json(command, "The figures as JSON on stdout; errors as JSON on stderr.")
  add_examples(command, "campaign recover campaign-jobs/JOB")
  return command
end

function ADD.retry(parser)
  local command = parser:command("retry", "Send rejected rows again after they were corrected in rejects.csv, and only those.")
  add_job(command)
  command:option("--file", "The corrected file (default: the job's rejects.csv)."):argname("FILE")
  command:option("--encoding", "Encoding of the file (default: utf-8)."):argname("NAME")
  command:option("--delimiter", "Column separator of the file (default: detected)."):argname("CHARACTER"):convert(M.delimiter)
  command:flag("--unchanged", "Also send rows that nobody changed, when the platform was to blame.")
  add_run(command)
  add_examples(command, "campaign retry campaign-jobs/JOB", "campaign retry campaign-jobs/JOB --file corrected.csv --encoding gb18030")
  return command
end

function ADD.listen(parser)
  local command = parser:command("listen", "Receive a platform's callbacks into a folder, until a signal comes.")
  add_value(command, "--port", "Port (default: a free one).", "N", integer)
  command:option("--address", "Address to listen on (default: 127.0.0.1). Put a proxy with TLS in front."):argname("IP")
  command:option("--path-secret-file", "File with the secret path, mode 0600; created with a new secret if missing.")
    :argname("FILE"):count(1)
  command:option("--store", "Folder that keeps what is received."):argname("DIR"):count(1)
  command:option("--platform", "The platform that posts the callbacks (default: the only shipped one that does)."):argname("PLATFORM")
  add_json(command)
  add_examples(command, "campaign listen --path-secret-file callback.secret --store callbacks --port 8080")
  return command
end

function ADD.convert(parser)
  local command = parser:command("convert", "Convert a text file between encodings, or a workbook to CSV.")
  command:argument("file", "File to read (default, and with -: stdin)."):args("?")
  command:option("--from", "utf-8, gbk, cp936, gb18030, utf-16le or utf-16be; not of a workbook."):argname("ENCODING")
  add_workbook(command)
  command:option("--to", "utf-8, gbk, cp936, gb18030, utf-16le or utf-16be."):argname("ENCODING"):count(1)
  command:option("-o --output", "File to write instead of stdout."):argname("FILE")
  command:option("--on-unmappable", "For characters that the target lacks: fail, or map:FILE."):argname("WHAT"):default("fail")
  add_json(command)
  add_examples(command, "campaign convert people.csv --from utf-8 --to gb18030 -o people.gb.csv",
    "campaign convert people.xlsx --to utf-8 -o people.csv")
  return command
end

function ADD.sandbox(parser)
  local command = parser:command("sandbox", "Serve all platforms on this machine, to try things without an account.")
  add_value(command, "--port", "Port on loopback (default: a free one).", "N", integer)
  command:option("--state", "Folder that keeps the state and the log of commits."):argname("DIR")
  command:option("--clock", "The sandbox's time at the start: yyyy-MM-dd HH:mm:ss."):argname("TIME")
  add_value(command, "--clock-rate", "Sandbox seconds per real second.", "X", number)
  command:option("--ready-file", "Write the printed lines to FILE once it is ready."):argname("FILE")
  command:option("--fault", "Inject a fault: OPERATION:KIND@N (the n-th call) or OPERATION:KIND%P (percent). Repeatable."):argname("FAULT"):count("*")
  command:option("--without", "Switch off a rule of docs/contracts/rules.md by its number: R020. Repeatable."):argname("RULE"):count("*")
  add_json(command)
  add_examples(command, "campaign sandbox --ready-file ready > sandbox.log &",
    "while [ ! -s ready ]; do sleep 0.1; done; set -a; . ./ready; set +a", "kill \"$CAMPAIGN_SANDBOX_PID\"")
  return command
end

function ADD.doctor(parser)
  local command = parser:command("doctor", "Show the versions of all libraries used, and their known faults.")
  add_json(command, "The findings as JSON on stdout.")
  add_examples(command, "campaign doctor")
  return command
end

function ADD.env(parser)
  local command = parser:command("env", "Print the shell lines that let Lua scripts find campaign.")
  command:option("--lua", "Only the lines for one Lua (default: both)."):choices{ "5.4", "luajit" }
  add_json(command, "The paths as JSON on stdout.")
  add_examples(command, "eval \"$(campaign env)\"")
  return command
end

---The path of a list, which is read more than once.
---@return string? path, string? message
function M.list_file(text)
  if text == "-" then
    return nil, "a list cannot come from stdin, since it is read more than once: save it to a file"
  end
  return text
end

---@return string? path, string? message
function M.folder(text)
  if text == "" then
    return nil, "--job names no folder"
  end
  return text
end

---A tab can hardly be typed in a shell: its name and `\t` stand for it.
---@return string delimiter
function M.delimiter(text)
  return (text == "tab" or text == "\\t") and "\t" or text
end

---An option whose value may be left out takes the word behind it.
---@return string? url, string? message
function M.url(text)
  if not text:find("://", 1, true) then
    return nil, "--sandbox '" .. text .. "' is no URL; without one, --sandbox comes last: campaign verify JOB --sandbox"
  end
  return text
end

-- In the order in which `campaign help` shows them.
local COMMANDS = { "operations", "describe", "openapi", "call", "wait", "import", "members", "resume", "status", "report", "resolve", "retry",
  "recover", "verify", "forget", "listen", "convert", "sandbox", "doctor", "env" }

---@param name string
---@return boolean is_command one that `campaign help` can show
---@return string[] names all there are
function M.knows(name)
  return name == "help" or ADD[name] ~= nil, sorted.keys(ADD)
end

---@param first string? the first word of the command line: when it is a command, the parser knows no other
---@return table parser
---@return table[] commands the parsers of its commands, without `help`
function M.parser(first)
  local parser = argparse("campaign", "Import contact lists into marketing platforms, with every row accounted for.")
  parser:command_target("command")
  parser:require_command(false)
  parser:help_max_width(100)
  parser:usage_max_width(100)
  parser:flag("--version", "Print the version.")
  local commands = {}
  for index, name in ipairs(first and ADD[first] and { first } or COMMANDS) do
    commands[index] = ADD[name](parser)
  end
  parser:add_help_command()
  parser:epilog("Exit codes: 0 success, 1 internal error, 2 usage or input refused (nothing sent), 3 not delivered, 4 outcome unknown, "
    .. "5 refused by the platform, 6 credentials, 7 some rows rejected, 8 stopped, 130 interrupted.")
  return parser, commands
end

return M
