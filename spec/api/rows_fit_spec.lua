-- SPDX-License-Identifier: MIT
local small_platform = require "support.small_platform"

describe("api.rows_fit", function()
  local broken = {
    { "rows of columns in a form", function(_, send)
      send.body, send.fields[2] = "form", { name = "rows", where = "form", type = "array", items = { type = "array", items = "string" } }
      send.rows = { field = "rows", shape = "array", columns = { "id" } }
    end, "`array` does not go into a form" },
    { "rows that are objects in a form", function(_, send)
      send.body, send.fields[2] = "form", { name = "rows", where = "form", type = "array", items = "string", required = true }
      send.rows = { field = "rows", shape = "object" }
    end, "rows.type: must be the type of the items" },
    { "rows without a field", function(_, send) send.rows.field = nil end, "`field` is missing" },
    { "calls in a field", function(_, send) send.rows = { shape = "call", field = "rows" } end, "rows.field: does not go with shape `call`" },
    { "many rows that are one call", function(_, send) send.rows = { shape = "call", per_call = 5 } end,
      "rows.per_call: does not go with shape `call`" },
    { "calls with conditions that the rows of a list are not checked for", function(_, send)
      send.rows, send.fields[3] = { shape = "call" }, { name = "more", where = "json", only_if = { field = "who", given = true } }
    end, "`call` does not go with `only_if` of `more`" },
    { "calls without a field", function(raw, send)
      send.rows, send.path, send.fields = { shape = "call" }, "/x", { { name = "kind", where = "query", constant = "x" } }
      raw.types.Row.doc = "d"
    end, "the operation has no field that a column could fill" },
    { "calls with lists of objects that must be given", function(_, send)
      send.rows = { shape = "call" }
      send.fields[2].items = "integer"
    end, "`rows` is required, and no column can fill it" },
    { "rows with nothing between them", function(_, send)
      send.fields[2] = { name = "rows", where = "json", type = "array", items = "string", join = "" }
      send.rows = { field = "rows", shape = "value", columns = { "id" } }
    end, "nobody could tell them apart" },
    { "a body that is an array of two lists", function(_, send)
      send.body, send.fields[3] = "array", { name = "more", where = "json" }
    end, "`array` needs one field" },
    { "rows in a query", function(_, send)
      send.fields[2] = { name = "rows", where = "query", type = "array", items = "string", join = "," }
      send.rows = { field = "rows", shape = "value", columns = { "id" } }
    end, "not in `query`" },
    { "rows of columns that a single call would send as one text", function(_, send)
      send.fields[2] = { name = "rows", where = "json", type = "array", items = "string", join = "," }
      send.rows = { field = "rows", shape = "array", columns = { "id" } }
    end, "with `join` the rows are one text" },
    { "rows that are no list", function(_, send) send.rows.field = "who" end, "whose items are the rows" },
    { "values without a name", function(_, send) send.fields[2].items = "string" send.rows = { field = "rows", shape = "value" } end,
      "`value` needs `columns`" },
    { "values with two names", function(_, send)
      send.fields[2].items = "string"
      send.rows = { field = "rows", shape = "value", columns = { "id", "colour" } }
    end, "columns: must be one name" },
    { "rows of columns in a list of texts", function(_, send)
      send.fields[2].items = "string"
      send.rows = { field = "rows", shape = "array", columns = { "id" } }
    end, "needs items of type `array`, not `string`" },
    { "an alias of no column", function(_, send)
      send.fields[2].items = "string"
      send.rows = { field = "rows", shape = "value", columns = { "id" }, aliases = { ID = { "number" } } }
    end, "aliases: there is no column `ID`" },
    { "rows in a file that are objects", function(_, send) send.rows.file = { encoding = "utf-8", line_end = "\n" } end,
      "rows.file: does not go with shape `object`" },
    { "a limit of files for calls", function(_, send) send.rows.per_file = 5 end, "rows.per_file: does not go with shape `object`" },
    { "columns of objects", function(_, send) send.rows.columns = { "id" } end, "rows.columns: does not go with shape `object`" },
    { "all rows accepted, but for the refused ones", function(_, send) send.rows.result = { accepted = "all", failed_rows = "id" } end,
      "failed_rows: does not go with `accepted = \"all\"`" },
    { "refused rows in a reply that is not read", function(_, send) send.response, send.rows.result = "empty", { failed_rows = "id" } end,
      "failed_rows: is read from a reply in JSON" },
    { "one key against repeats for all calls", function(_, send)
      send.fields[3] = { name = "X-Idempotency-Key", where = "header" }
    end, "give the field `call_key = \"uuid\"`" },
    { "a part of another name", function(_, send)
      send.body, send.fields[2] = "multipart", { name = "rows", where = "form", type = "file" }
      send.rows = { field = "rows", shape = "csv", columns = { "id" }, file = { part = "list", encoding = "gbk", line_end = "\n",
        filename = "r.csv" } }
    end, "file.part: must be `rows`" },
    { "a required list of numbers", function(raw)
      raw.types.Row.fields[3] = { name = "sizes", type = "array", items = "integer", required = true }
    end, "`sizes` is required, and no column can fill it (a list of `integer`); leave `rows` out" },
    { "quotes that are never written", function(_, send)
      send.body, send.fields[2] = "multipart", { name = "rows", where = "form", type = "file" }
      send.rows = { field = "rows", shape = "csv", columns = { "id" }, file = { part = "rows", encoding = "gbk", quote = "all", line_end = "\n",
        filename = "r.csv" } }
    end, "rows.file.quote: must be one of minimal" },
    { "counts that are texts", function(raw, send)
      raw.types.Row.fields[3] = { name = "good", type = "int64" }
      send.rows.result = { success_count = "good", fail_count = "good" }
    end, "success_count: `good` is of type `int64`, which cannot be read here: any, integer, number" },
    { "a number of a batch that is an object", function(raw, send)
      raw.types.Row.fields[3] = { name = "data", type = "object", open = true }
      send.rows.result = { accepted = "pending", id = "data" }
    end, "id: `data` is of type `object`" },
    { "refused rows in a text", function(_, send) send.rows.result = { failed_rows = { list = "colour", index = ".", from = 0 } } end,
      "list: `colour` is of type `string`" },
  }
  for _, case in ipairs(broken) do
    it("refuses " .. case[1], function()
      local message = small_platform.refused(case[2])
      assert(message:find(case[3], 1, true), message)
    end)
  end
end)
