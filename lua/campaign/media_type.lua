-- SPDX-License-Identifier: MIT
-- What kind of content a file has, by the extension of its name.

local M = {}

local BY_EXTENSION = {
  bmp = "image/bmp", csv = "text/csv", gif = "image/gif", htm = "text/html", html = "text/html", jpeg = "image/jpeg", jpg = "image/jpeg",
  json = "application/json", pdf = "application/pdf", png = "image/png", svg = "image/svg+xml", txt = "text/plain", webp = "image/webp",
  xls = "application/vnd.ms-excel", xlsx = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", xml = "application/xml",
  zip = "application/zip",
}

---@param filename string
---@return string media_type `application/octet-stream` where nothing is known
function M.of(filename)
  local extension = filename:match("%.(%w+)$")
  return extension and BY_EXTENSION[extension:lower()] or "application/octet-stream"
end

return M
