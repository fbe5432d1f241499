---@meta
-- SPDX-License-Identifier: MIT
-- Types for editors (LuaCATS). Those derived from the platforms' data are in types/<platform>.lua, written by `make types`; nothing here is
-- loaded at run time.

---The error object: every function that can fail at run time returns `nil, err`.
---@class campaign.error
---@field kind campaign.error.kind
---@field message string what happened; never a secret or personal data
---@field hint string? what to do next
---@field retry boolean|number whether the same call may be retried; a number is the seconds to wait
---@field sent "no"|"maybe"|"yes" "no": provably nothing was applied; "maybe": unknown
---@field platform string?
---@field operation string?
---@field status integer? HTTP status
---@field code string|integer? the platform's own code
---@field reason string? our name for it, such as "overwrite_refused"
---@field body string? a bounded, redacted sample of the answer
---@field faults { path: string, message: string }[]? all faults of the fields
---@field timings table? seconds of the transfer: dns, connect, tls, first_byte, total
---@field cause any?

---A file field: a path, or one of these.
---@class campaign.file
---@field path string? of a file to send byte for byte
---@field content string? instead of a path
---@field source userdata? instead of both: a body source, consumed by the call
---@field filename string? required with content
---@field content_type string?

---Options of every call.
---@class campaign.options
---@field retries integer? retries where nothing was applied; default 2
---@field timeout number? seconds for one request
---@field token string? for `each`: the position of an earlier iteration
---@field save_to string? file or folder for a download
---@field window "refuse"|"wait"|"ignore"|nil during closed hours; default refuse
---@field accept_public_file boolean? the uploaded file may be read by anybody who knows its id
---@field server_variables string[]? {{variables}} that the platform fills in itself
---@field rows userdata|string? the body with the rows of a bulk operation: a source, or a text if a signature covers it
---@field rows_filename string? name of that file in a form

---The reply to a download.
---@class campaign.download
---@field body string? the bytes, unless they were saved
---@field path string? where they were saved
---@field bytes integer
---@field content_type string?
---@field filename string? the platform's name, made safe for a file system

---A set of credentials. Secrets can be read by name but are not listed or printed.
---@class campaign.account
---@field platform string
---@field name string
---@field id string identifies a set of credentials
---@field base_url string

---A loaded platform: docs/platform-format.md, "The loaded form".
---@class campaign.platform
---@field name string
---@field reference string what calls and commands name: the name of a shipped platform, else the path of its file
---@field title string
---@field doc string
---@field zone_seconds integer
---@field operations table<string|integer, campaign.operation>
---@field account table<string|integer, table>
---@field types table<string, table>
---@field enums table<string, table>
---@field windows table<string, table>
---@field links table<string, table>
---@field limits table

---@class campaign.operation
---@field name string
---@field key string platform.operation
---@field platform string
---@field method string
---@field path string
---@field auth string
---@field body "none"|"json"|"ndjson"|"array"|"multipart"|"form"|"file"
---@field content_type string? of a body `json`, `ndjson` or `array`
---@field response "json"|"binary"|"empty"
---@field effect string
---@field fields table<string|integer, campaign.field>
---@field call_key campaign.field? the one that takes a key of each call's own
---@field reply campaign.field
---@field rows table?

---@class campaign.field
---@field name string
---@field type string
---@field where string?
---@field required boolean?
---@field items campaign.field?
---@field fields table<string|integer, campaign.field>?
---@field values table?
---@field doc string?

---What every client has beside the methods of its platform.
---@class campaign.client
---@field platform campaign.platform
---@field account campaign.account
---@field env campaign.env
local client = {}

---@param operation string
---@param fields table?
---@param options campaign.options?
---@return table? reply
---@return campaign.error? err
function client:call(operation, fields, options) end

---@param operation string
---@param fields table?
---@param options campaign.options?
---@return table? request
---@return campaign.error? err
function client:prepare(operation, fields, options) end

---@param request table from `prepare`
---@param result table from the transport
---@return table? reply
---@return campaign.error? err
function client:finish(request, result) end

---@param operation string
---@param fields table?
---@param options campaign.options?
---@return string? prefix
---@return string|campaign.error suffix
---@return string? separator
function client:envelope(operation, fields, options) end

---@param operation string one with pages
---@param fields table?
---@param options campaign.options?
---@return campaign.pages
function client:each(operation, fields, options) end

---@param operation string one with pages
---@param fields table?
---@param options campaign.options?
---@return table[]? rows
---@return campaign.error? err
function client:all(operation, fields, options) end

---@param name string a waiter of the platform
---@param fields table?
---@param options { deadline: number|string?, delay: number?, on_progress: function?, state: string? }?
---@return campaign.waiter? waiter
---@return campaign.error? err
function client:waiter(name, fields, options) end

---@param name string a waiter of the platform
---@param fields table?
---@param options { deadline: number|string?, delay: number?, on_progress: function?, state: string? }?
---@return table? found
---@return campaign.error? err
function client:wait(name, fields, options) end

---@param name string
---@param fields table|string|number
---@return string? url
---@return campaign.error? err
function client:link(name, fields) end

function client:close() end
