-- SPDX-License-Identifier: MIT
-- What to do about a connection that was not made, for the words that libcurl and OpenSSL have for it. Words that are not known get the hint of
-- their kind, or none: a hint is help for a person, and nothing is decided by it.

local M = {}

local CLOCK = "the platform must renew its certificate, unless the clock of this machine is wrong"
local HOST = "the certificate is for another host: check the account's base_url, and who answers there"
local TRUST = "if you trust who signed this certificate, name the file with the signer's certificate in the account's ca_file;"
  .. " verification cannot be switched off"
local CLIENT = "the other side may ask for a certificate of the client, which is not supported, or for other versions of TLS than 1.2 and 1.3"
local NO_TLS = "what answers there does not speak TLS: check scheme and port of the account's base_url, and its proxy"
local CA_FILE = "the account's ca_file must be a readable file with certificates in PEM form"
local NAME = "check the host in the account's base_url, and this machine's name service"
local PROXY_NAME = "check the host in the account's proxy"
local LOGIN = "the proxy wants a login, or another one: put it into the account's proxy, http://user:password@host:port (percent-encoded)"
local PROXY = "the proxy does not make the connection: check the account's proxy, and whether it lets this host and port pass"
local NOT_HTTP = "what answers there does not speak HTTP/1.1: check scheme and port of the account's base_url"

-- kind, words in the message (plain, in lower case), hint: the first line that fits counts.
local HINTS = {
  { "tls", "certificate has expired", CLOCK }, { "tls", "certificate is not yet valid", CLOCK },
  { "tls", "subject name", HOST }, { "tls", "does not match target host", HOST },
  { "tls", "error setting certificate", CA_FILE }, { "tls", "certificate problem", TRUST },
  { "tls", "wrong version number", NO_TLS }, { "tls", "record too long", NO_TLS }, { "tls", "packet length", NO_TLS },
  { "tls", "alert", CLIENT }, { "network", "alert certificate required", CLIENT },
  { "tls", "unsupported protocol", CLIENT }, { "tls", "version too low", CLIENT },
  { "network", "could not resolve proxy", PROXY_NAME }, { "network", "could not resolve host", NAME },
  { "auth", "connect tunnel failed", LOGIN }, { "auth", "from proxy after connect", LOGIN },
  { "network", "connect tunnel failed", PROXY }, { "network", "from proxy after connect", PROXY }, { "network", "proxy connect aborted", PROXY },
  { "timeout", "proxy connect aborted", PROXY }, { "response", "http/0.9 when not allowed", NOT_HTTP },
}

---The hint for a transport's error; nil where there is nothing to advise.
---@param err campaign.error
---@return string?
function M.of(err)
  local message = tostring(err.message):lower()
  for _, entry in ipairs(HINTS) do
    if err.kind == entry[1] and message:find(entry[2], 1, true) then
      return entry[3]
    end
  end
  return nil
end

return M
