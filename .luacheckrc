-- The common subset of Lua 5.4 and LuaJIT. What only one of them has is named here, and fetched as `unpack or table.unpack`.
std = "min"
max_line_length = 150
max_comment_line_length = 160
max_string_line_length = 160
read_globals = { "unpack", "jit", table = { fields = { "unpack" } }, package = { fields = { "searchpath" } } }
-- Facts, one a line.
files["lua/campaign/platform"] = { max_line_length = 170 }
-- Signatures for editors: functions without bodies.
for _, path in ipairs{ "lua/campaign/types.lua", "lua/campaign/types" } do
  files[path] = { ignore = { "21.", "24." }, max_line_length = false, max_comment_line_length = false }
end
files["spec"] = { std = "min+busted" }
files["spec/nginx"] = { std = "ngx_lua" }
files["bench/nginx_handlers.lua"] = { std = "ngx_lua" }
files["lua/campaign/openresty"] = { read_globals = { "ngx" } }
files["lua/campaign/transport/openresty.lua"] = { read_globals = { "ngx" } }
files["spec/nginx"] = { read_globals = { ngx = { other_fields = true, fields = { status = { read_only = false } } } } }
