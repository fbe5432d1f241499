-- The common subset of Lua 5.4 and LuaJIT. What only one of them has is named here, and fetched as `unpack or table.unpack`.
std = "min"
max_line_length = 120
max_comment_line_length = 150
max_string_line_length = 150
read_globals = { "unpack", "jit", table = { fields = { "unpack" } } }
files["spec"] = { std = "min+busted" }
files["lua/campaign/openresty"] = { read_globals = { "ngx" } }
files["lua/campaign/transport/openresty.lua"] = { read_globals = { "ngx" } }
files[".busted"] = { ignore = { "631" } }
