-- SPDX-License-Identifier: MIT
-- The options of every command, in one place: what `campaign help` prints and what docs/cli.md lists.

local argparse = require "argparse"
local stop_rule = require "campaign.import.stop_rule"

local M = {}

-- Lines that can be typed, below the options of a command.
local function add_examples(command, ...)
  command:epilog("Examples:\n   " .. table.concat({ ... }, "\n   "))
end

local function add_json(command, text)
  command:flag("--json", text or "Errors as JSON on stderr.")
end

local function add_account(command)
  command:option("--account", "Account of the accounts file to use."):argname("NAME")
end

local function add_parameters(command)
  command:option("-p --param", "Sets a field by its wire name: name=text, a.b[0]=text, or name:=json. "
    .. "May be repeated. Secrets belong into the environment or the accounts file."):argname("NAME=VALUE"):count("*")
end

local function operations(parser)
  local command = parser:command("operations", "List the operations of the platforms.")
  command:argument("platform", "Only those of this platform."):args("?")
  command:option("--format", "How to print; a table without it."):choices{ "table", "tsv", "json" }
  add_json(command, "The same as --format json; errors as JSON on stderr.")
  add_examples(command, "campaign operations", "campaign operations longlong --format tsv")
end

local function describe(parser)
  local command = parser:command("describe", "Show what a platform offers, or what an operation takes and gives.")
  command:argument("target", "PLATFORM or PLATFORM.OPERATION; a platform may be the path of its file.")
  command:option("--format", "How to print: as text, or a whole platform as Markdown reference or as types for editors.")
    :choices{ "text", "markdown", "types" }:default("text")
  command:option("-o --output", "File to write; stdout without it."):argname("FILE")
  add_json(command, "The description as JSON on stdout; errors as JSON on stderr.")
  add_examples(command, "campaign describe longlong", "campaign describe longlong.import_customers_async", "campaign describe ./courier.lua")
end

local function openapi(parser)
  local command = parser:command("openapi", "Write a platform as an OpenAPI 3.1 document (JSON).")
  command:argument("platform", "Name of a platform, or the path of its file.")
  command:option("-o --output", "File to write; stdout without it."):argname("FILE")
  add_json(command)
end

local function call(parser)
  local command = parser:command("call", "Call one operation; the reply is printed as JSON.")
  command:argument("operation", "PLATFORM.OPERATION")
  add_parameters(command)
  command:option("--body", "Takes fields from a JSON object in FILE, or from stdin with -."):argname("FILE")
  command:option("--out", "Writes the reply to FILE instead of stdout."):argname("FILE")
  command:option("--timeout", "Most time for the call; a minute without it, more for large uploads."):argname("SECONDS"):convert(M.seconds)
  command:option("--window", "Inside a platform's closed hours: refuse, or ignore them."):choices{ "refuse", "ignore" }
  command:flag("--accept-public-file", "The uploaded file may be read by anyone who guesses its id.")
  command:mutex(
    command:option("--record", "Adds the exchange, without secrets and personal data, to FILE."):argname("FILE"),
    command:option("--replay", "Sends nothing: answers from a FILE that --record wrote."):argname("FILE"))
  add_account(command)
  add_json(command)
  add_examples(command, "campaign call outbound.get_contact_group_detail",
    "campaign call outbound.upload_dnc_json -p dataSourceName=acme-dnc -p 'dataList:=[\"3a5b070f\"]'")
end

local function wait(parser)
  local command = parser:command("wait", "Wait until a platform has reached a state; the final reply is printed as JSON.")
  command:argument("waiter", "PLATFORM.WAITER, for example hypers.notification_task_finished.")
  add_parameters(command)
  command:option("--deadline", "Most time to wait: 90s, 15m, 2h, 1d."):argname("TIME")
  command:option("--state", "Keeps the wait in FILE: the same command goes on with it after an interruption."):argname("FILE")
  add_account(command)
  add_json(command, "Errors as JSON on stderr; no progress.")
  add_examples(command, "campaign wait hypers.notification_task_finished -p taskId=42 --deadline 2h --state wait.json")
end

-- What every command takes that sends a list: the part of import/run_options.lua that can be written on a command line.
local function add_run(command)
  command:option("--concurrency", "Requests in flight, at most; found out while the import runs without it.")
    :argname("N"):convert(M.count)
  command:option("--rate", "Calls per second, at most, of all imports into the account on this machine."):argname("N"):convert(M.rate)
  command:option("--max-reject", "Ends the run when the platform refuses more than so many of the rows that were sent: 5%, a number, or none.")
    :argname("SHARE"):convert(M.max_reject)
  command:option("--bisect", "Calls to find the rows to blame in one refused batch; 0: none."):argname("N"):convert(M.integer)
  command:option("--window", "Inside a platform's closed hours: wait, refuse, ignore."):choices{ "wait", "refuse", "ignore" }
  command:option("--busy", "While another import of yours sends to the same target: wait (without it), or refuse."):choices{ "wait", "refuse" }
  add_account(command)
  command:option("--progress", "Progress on stderr: a line for people (nothing with --json), json, one event a line, or none.")
    :choices{ "auto", "json", "none" }:default("auto")
  add_json(command, "The result as JSON on stdout; errors as JSON on stderr.")
end

local function import(parser)
  local command = parser:command("import", "Import a contact list, row by row accounted for.")
  command:argument("file", "CSV file with a header line.")
  command:option("--to", "PLATFORM.OPERATION that takes rows."):argname("PLATFORM.OPERATION"):count(1)
  add_parameters(command)
  command:option("--map", "Takes a field from a column: phone=手机号, components.<id>=等级; or a script that returns a function for each row: fix.lua.")
    :argname("FIELD=COLUMN"):count("*")
  command:option("--set", "Gives all rows the same value: identityType=phone."):argname("FIELD=VALUE"):count("*")
  command:option("--split", "Splits a column into a list: groups=;"):argname("FIELD=SEPARATOR"):count("*")
  command:option("--check", "Checks a field or column: phone=mobile_cn."):argname("FIELD=CHECK"):count("*")
  command:option("--unique", "Of rows with the same text in this field or column, sends only the first."):argname("FIELD")
  command:option("--suppress", "Leaves out rows whose key is in that column of a file: dnc.csv:phone, dnc.csv:mobile=phone, dnc.txt:#1=phone.")
    :argname("FILE:COLUMN[=FIELD]"):count("*")
  command:option("--since", "Sends only rows that are new or changed since an earlier job."):argname("JOB")
  command:flag("--keep-keys", "Keeps what a later --since needs for lists over 64 MiB too.")
  command:option("--on-unmappable", "Characters that the target's encoding lacks: fail, reject (the row), map:FILE.")
    :argname("WHAT"):default("reject")
  command:option("--encoding", "Encoding of the file (utf-8, gbk, gb18030, utf-16le, utf-16be)."):argname("NAME")
  command:option("--delimiter", "Separator between the columns: a comma, a semicolon, a tab or auto."):argname("CHARACTER")
  command:option("--rows-per-call", "Most rows in one call."):argname("N"):convert(M.count)
  command:option("--rows-per-file", "Most rows in one uploaded file."):argname("N"):convert(M.count)
  command:option("--job", "Folder for the job's files."):argname("DIR")
  command:flag("--overwrite", "The first file replaces what is there.")
  command:flag("--accept-public-file", "The uploaded file may be read by anyone who guesses its id.")
  command:flag("--dry-run", "Check everything, send nothing, print the plan.")
  add_run(command)
  add_examples(command, "campaign import people.csv --to longlong.import_customers_async --check phone=mobile_cn --dry-run",
    "campaign import people.csv --to outbound.upload_contacts_file -p dataSourceName=autumn",
    "campaign import people.csv --to longlong.import_customers_async --suppress dnc.csv:phone",
    "campaign import people.csv --to longlong.import_customers_async --since campaign-jobs/JOB")
end

local function members(parser)
  local command = parser:command("members", "Write the Excel file of members for an operation, out of a list; nothing is sent.")
  command:argument("file", "CSV file with a header line.")
  command:option("--to", "PLATFORM.OPERATION that takes such files."):argname("PLATFORM.OPERATION"):count(1)
  command:option("-o --output", "The file to write; its name ends in .xlsx."):argname("FILE"):count(1)
  command:option("--variable", "A column that every row must fill: one that the texts name as {{NAME}}."):argname("NAME"):count("*")
  command:option("--map", "Takes a column of the sheet from a column of the list: userId=编号."):argname("NAME=COLUMN"):count("*")
  command:option("--set", "Gives all rows the same value: shop=Pudong."):argname("NAME=VALUE"):count("*")
  command:option("--check", "Checks a column: phone=mobile_cn."):argname("NAME=CHECK"):count("*")
  command:option("--unique", "Of rows with the same text in this column, writes only the first."):argname("NAME")
  command:option("--replace", "Table of characters to be replaced, one `character=replacement` a line."):argname("FILE")
  command:option("--encoding", "Encoding of the list (utf-8, gbk, gb18030, utf-16le, utf-16be)."):argname("NAME")
  command:option("--delimiter", "Separator between the columns: a comma, a semicolon, a tab or auto."):argname("CHARACTER")
  command:option("--rows-per-file", "Several files of so many rows: -1, -2, ... before .xlsx."):argname("N"):convert(M.count)
  command:option("--temporary", "Folder for temporary files; that of the output without it."):argname("DIR")
  add_json(command, "The result as JSON on stdout; errors as JSON on stderr; no progress.")
end

local function add_job(command)
  command:argument("job", "The job's folder."):argname("JOB")
end

local function resume(parser)
  local command = parser:command("resume", "Go on with an import that was interrupted or stopped.")
  add_job(command)
  add_run(command)
end

local function status(parser)
  local command = parser:command("status", "Show what the ledger of an import says.")
  add_job(command)
  add_json(command, "The counts as JSON on stdout; errors as JSON on stderr.")
end

local function resolve(parser)
  local command = parser:command("resolve", "Say what became of a batch whose outcome is unknown.")
  add_job(command)
  command:option("--batch", "The batch, as `campaign status` lists it; needed with --as."):argname("N"):convert(M.count)
  command:option("--as", "What became of it: applied, not-applied (it is sent again), resend (sent again, perhaps twice)."):argname("WHAT")
    :choices{ "applied", "not-applied", "resend" }
  command:flag("--probe", "Asks the platform instead, where it can be asked: for this batch, or all in doubt. Sends nothing.")
  command:option("--callbacks", "Joins the results that `campaign listen --store DIR` kept to their batches. Sends nothing."):argname("DIR")
  command:option("--note", "Who found out, and how; kept in the ledger."):argname("TEXT")
  add_account(command)
  add_json(command)
  add_examples(command, "campaign resolve JOB --probe", "campaign resolve JOB --batch 17 --as applied --note 'seen in their console'")
end

local function verify(parser)
  local command = parser:command("verify", "Prove that list, ledger, reports and server say the same of every row.")
  add_job(command)
  command:mutex(
    command:option("--server-log", "Log of what the server committed: one JSON object a line, its member row as it was sent."):argname("FILE"),
    command:option("--sandbox", "Base URL of a sandbox, whose log of commits is asked for; that of CAMPAIGN_SANDBOX_URL without one.")
      :argname("URL"):args("?"))
  command:option("--after", "Leaves out entries of the log up to this number."):argname("N"):convert(M.integer)
  add_json(command, "The figures as JSON on stdout; errors as JSON on stderr.")
  add_examples(command, "campaign verify JOB", "campaign verify JOB --sandbox", "campaign verify JOB --server-log commits.jsonl")
end

local function forget(parser)
  local command = parser:command("forget", "Erase the personal data of a job; its counts stay.")
  add_job(command)
  command:flag("--all", "Removes the whole job, its ledger and counts too.")
  command:flag("--force", "Also a job that is not settled; never one that runs.")
  add_json(command, "What was removed as JSON on stdout; errors as JSON on stderr.")
end

local function recover(parser)
  local command = parser:command("recover", "Make the damaged ledger of a job anew from what can be read of it.")
  add_job(command)
  command:flag("--trust-pending", "Batches that an intact record calls not sent stay so; without it they are in doubt.")
  add_account(command)
  add_json(command, "The figures as JSON on stdout; errors as JSON on stderr.")
end

local function retry(parser)
  local command = parser:command("retry", "Send rejected rows again after they were mended in rejects.csv, and only those.")
  add_job(command)
  command:option("--file", "The mended file; the job's rejects.csv without it."):argname("FILE")
  command:option("--encoding", "Encoding of the file; UTF-8 without it."):argname("NAME")
  command:option("--delimiter", "Separator between its columns; found out without it."):argname("CHARACTER")
  command:flag("--unchanged", "Sends also rows that nobody changed: the platform was to blame.")
  add_run(command)
end

local function listen(parser)
  local command = parser:command("listen", "Receive a platform's callbacks into a folder, until a signal comes.")
  command:option("--port", "Port; a free one without it."):argname("N"):convert(M.integer)
  command:option("--address", "Address to listen on; loopback without it. TLS is for a proxy in front."):argname("IP")
  command:option("--path-secret-file", "File with the secret path, mode 0600; made with a new secret when it is not there.")
    :argname("FILE"):count(1)
  command:option("--store", "Folder for what comes."):argname("DIR"):count(1)
  command:option("--platform", "Whose callbacks they are."):argname("PLATFORM"):default("longlong")
  add_json(command)
end

local function convert(parser)
  local command = parser:command("convert", "Convert a text file between encodings, losing no character.")
  command:argument("file", "File to read; stdin without it or with -."):args("?")
  command:option("--from", "utf-8, gbk, cp936, gb18030, utf-16le or utf-16be."):argname("ENCODING"):count(1)
  command:option("--to", "utf-8, gbk, cp936, gb18030, utf-16le or utf-16be."):argname("ENCODING"):count(1)
  command:option("-o --output", "File to write; stdout without it."):argname("FILE")
  command:option("--on-unmappable", "Characters that the target lacks: fail, or map:FILE."):argname("WHAT"):default("fail")
  add_json(command)
  add_examples(command, "campaign convert people.csv --from utf-8 --to gb18030 -o people.gb.csv")
end

local function sandbox(parser)
  local command = parser:command("sandbox", "Play all platforms on this machine, to try things without an account.")
  command:option("--port", "Port on loopback; a free one without it."):argname("N"):convert(M.integer)
  command:option("--state", "Folder that keeps the state and the log of what was committed."):argname("DIR")
  command:option("--clock", "Time of the sandbox at the start: yyyy-MM-dd HH:mm:ss."):argname("TIME")
  command:option("--clock-rate", "Seconds of the sandbox per real second."):argname("X"):convert(M.number)
  command:option("--ready-file", "Writes the printed lines to FILE once it serves."):argname("FILE")
  command:option("--fault", "Orders a fault: OPERATION:KIND@N (the n-th call) or OPERATION:KIND%P (percent)."):argname("FAULT"):count("*")
  command:option("--without", "Switches a rule of docs/contracts/rules.md off, by number: R020."):argname("RULE"):count("*")
  add_json(command)
  add_examples(command, "campaign sandbox --ready-file ready > sandbox.log &",
    "while [ ! -s ready ]; do sleep 0.1; done; set -a; . ./ready; set +a", "kill \"$CAMPAIGN_SANDBOX_PID\"")
end

local function doctor(parser)
  local command = parser:command("doctor", "Show versions of everything below, and what is known to be bad about them.")
  add_json(command, "The findings as JSON on stdout.")
end

local function env(parser)
  local command = parser:command("env", "Print the lines that let scripts find campaign: eval \"$(campaign env)\".")
  command:option("--lua", "Only the lines for one Lua; without it those for both."):choices{ "5.4", "luajit" }
  add_json(command, "The paths as JSON on stdout.")
end

---@return integer? value, string? message
function M.integer(text)
  if not text:find("^%d+$") or #text > 9 then
    return nil, "'" .. text .. "' is no whole number"
  end
  return tonumber(text)
end

---@return integer? value, string? message
function M.count(text)
  local value = M.integer(text)
  if not value or value < 1 or value > 1000000 then
    return nil, "'" .. text .. "' is no whole number from 1 to 1000000"
  end
  return value
end

---@return number? value, string? message
function M.number(text)
  local value = tonumber(text)
  if not value or value ~= value or value < 0 or value == math.huge then
    return nil, "'" .. text .. "' is no number"
  end
  return value
end

---@return number? value, string? message
function M.rate(text)
  local value = M.number(text)
  if not value or value == 0 or value > 100000 then
    return nil, "'" .. text .. "' is no number of calls per second above 0 (at most 100000)"
  end
  return value
end

---@return string? value, string? message
function M.max_reject(text)
  local rule, why = stop_rule.read(text)
  if not rule then
    return nil, "'" .. text .. "': --max-reject " .. why
  end
  return text
end

---@return number? value, string? message
function M.seconds(text)
  local value = M.number(text)
  if not value or value == 0 or value > 86400 then
    return nil, "'" .. text .. "' is no number of seconds above 0 (at most a day)"
  end
  return value
end

local COMMANDS = {
  operations, describe, openapi, call, wait, import, members, resume, status, resolve, retry, recover, verify, forget, listen, convert,
  sandbox, doctor, env,
}

local BY_NAME = { operations = operations, describe = describe, openapi = openapi, call = call, wait = wait, import = import, members = members,
  resume = resume, status = status, resolve = resolve, retry = retry, recover = recover, verify = verify, forget = forget, listen = listen,
  convert = convert, sandbox = sandbox, doctor = doctor, env = env }

---@param first string? the first word of the command line: when it is a command, the parser knows no other
---@return table parser
function M.parser(first)
  local parser = argparse("campaign", "Outreach campaigns: contact lists into marketing platforms, every row accounted for.")
  parser:command_target("command")
  parser:require_command(false)
  parser:help_max_width(100)
  parser:usage_max_width(100)
  parser:flag("--version", "Print the version.")
  for _, add in ipairs(first and BY_NAME[first] and { BY_NAME[first] } or COMMANDS) do
    add(parser)
  end
  parser:add_help_command()
  parser:epilog("Exit codes: 0 well, 1 internal, 2 input refused and nothing sent, 3 not delivered, 4 outcome unknown, "
    .. "5 refused by the platform, 6 credentials, 7 some rows rejected, 8 stopped, 130 interrupted.")
  return parser
end

return M
