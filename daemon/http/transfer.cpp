#include "daemon/http/transfer.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <mutex>
#include <set>

#include "daemon/http/encoding.hpp"
#include "daemon/log.hpp"
#include "dsl/assert.hpp"

namespace durabled::daemon {
namespace {

constexpr std::size_t kMaxHeaderBytes = 256 << 10;
constexpr std::chrono::milliseconds kConnectTimeout{10'000};
constexpr char kUserAgent[] = "durabled/" DURABLED_VERSION;

template <typename T>
void set(CURL* easy, CURLoption option, T value) {
  // Fails only for an option or a value that this libcurl does not know, or out of memory.
  DURABLED_ASSERT(curl_easy_setopt(easy, option, value) == CURLE_OK);
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// "HTTP/1.1 200 OK" or "HTTP/2 200"; 0 for anything else.
int status_of(std::string_view line) {
  const std::size_t space = line.find(' ');
  if (!line.starts_with("HTTP/") || space == std::string_view::npos) return 0;
  int status = 0;
  std::from_chars(line.data() + space + 1, line.data() + line.size(), status);
  return status;
}

// Once for each address that a name leads to, up to a limit: a workflow can repeat the call at will.
void log_refused_address(const std::string& place, const std::string& address) {
  constexpr std::size_t kMost = 1'000;
  static std::mutex mutex;
  static std::set<std::string> known;
  const std::lock_guard lock(mutex);
  if (known.size() < kMost && known.insert(place + ' ' + address).second)
    log_info("http: " + place + " leads to " + address + ", which no address_ranges of http.allow has");
}

}  // namespace

HttpTransfer::HttpTransfer(WireRequest wire, SecretScrubber scrubber, std::string role,
                           std::chrono::milliseconds timeout, std::size_t max_response_bytes,
                           curl_slist* resolve)
    : wire_(std::move(wire)),
      scrubber_(std::move(scrubber)),
      role_(std::move(role)),
      timeout_(timeout),
      max_response_bytes_(max_response_bytes),
      resolve_(resolve),
      easy_(curl_easy_init()) {
  DURABLED_ASSERT(easy_ != nullptr);
  prepare();
}

void HttpTransfer::prepare() {
  CURL* easy = easy_.get();
  curl_easy_reset(easy);
  form_.reset();
  response_ = {};
  header_bytes_ = 0;
  opened_socket_ = false;
  refused_.reset();

  set(easy, CURLOPT_PRIVATE, static_cast<void*>(this));
  set(easy, CURLOPT_URL, wire_.url.text().c_str());
  set(easy, CURLOPT_PATH_AS_IS, 1L);
  set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  set(easy, CURLOPT_FOLLOWLOCATION, 0L);
  set(easy, CURLOPT_PROXY, "");  // an empty proxy also switches the environment's off
  set(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  set(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
  set(easy, CURLOPT_USERAGENT, kUserAgent);
  set(easy, CURLOPT_NOSIGNAL, 1L);
  set(easy, CURLOPT_QUICK_EXIT, 1L);  // an abort does not wait for the name lookup's thread
  set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  set(easy, CURLOPT_ERRORBUFFER, static_cast<char*>(error_));
  if (resolve_ != nullptr) set(easy, CURLOPT_RESOLVE, resolve_);

  const auto left = std::max(timeout_ - elapsed(), std::chrono::milliseconds(1));
  set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(left.count()));
  set(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(left, kConnectTimeout).count()));

  set(easy, CURLOPT_OPENSOCKETFUNCTION, &HttpTransfer::on_open_socket);
  set(easy, CURLOPT_OPENSOCKETDATA, static_cast<void*>(this));
  set(easy, CURLOPT_PREREQFUNCTION, &HttpTransfer::on_connected);
  set(easy, CURLOPT_PREREQDATA, static_cast<void*>(this));
  set(easy, CURLOPT_HEADERFUNCTION, &HttpTransfer::on_header);
  set(easy, CURLOPT_HEADERDATA, static_cast<void*>(this));
  set(easy, CURLOPT_WRITEFUNCTION, &HttpTransfer::on_body);
  set(easy, CURLOPT_WRITEDATA, static_cast<void*>(this));
  prepare_payload();
  prepare_headers();
}

void HttpTransfer::prepare_payload() {
  CURL* easy = easy_.get();
  if (wire_.parts) {
    form_.reset(curl_mime_init(easy));
    for (const WirePart& part : *wire_.parts) {
      curl_mimepart* field = curl_mime_addpart(form_.get());
      curl_mime_name(field, part.name.c_str());
      curl_mime_data(field, part.data.data(), part.data.size());
      if (part.filename) curl_mime_filename(field, part.filename->c_str());
      if (part.content_type) {
        curl_mime_type(field, part.content_type->c_str());
      } else if (part.filename) {
        curl_mime_type(field, "application/octet-stream");  // curl would guess by the name's ending
      }
    }
    set(easy, CURLOPT_MIMEPOST, form_.get());
  } else if (wire_.body || (wire_.method != "GET" && wire_.method != "DELETE")) {
    // Without a body these methods still say "Content-Length: 0"; servers insist on it.
    set(easy, CURLOPT_POST, 1L);
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(wire_.body ? wire_.body->size() : 0));
    set(easy, CURLOPT_POSTFIELDS, wire_.body ? wire_.body->data() : "");
  } else {
    set(easy, CURLOPT_HTTPGET, 1L);
  }
  set(easy, CURLOPT_CUSTOMREQUEST, wire_.method.c_str());
}

void HttpTransfer::prepare_headers() {
  headers_.reset();
  bool has_type = wire_.parts.has_value();
  for (const WireHeader& header : wire_.headers) {
    has_type = has_type || equals_ignoring_case(header.name, "content-type");
    add_header(header.name, header.value);
  }
  const auto suppress = [this](const char* name) {
    curl_slist* list = curl_slist_append(headers_.get(), (std::string(name) + ":").c_str());
    DURABLED_ASSERT(list != nullptr);
    static_cast<void>(headers_.release());
    headers_.reset(list);
  };
  suppress("Expect");
  if (!has_type) suppress("Content-Type");  // curl would call every body a web form
  set(easy_.get(), CURLOPT_HTTPHEADER, headers_.get());
}

void HttpTransfer::add_header(const std::string& name, const std::string& value) {
  // curl's own notation: "Name:" would remove the header, "Name;" sends it empty.
  const std::string line = trim_blanks(value).empty() ? name + ";" : name + ": " + value;
  curl_slist* list = curl_slist_append(headers_.get(), line.c_str());
  DURABLED_ASSERT(list != nullptr);
  static_cast<void>(headers_.release());
  headers_.reset(list);
}

std::chrono::milliseconds HttpTransfer::elapsed() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started_);
}

bool HttpTransfer::receive_header(std::string_view line) {
  header_bytes_ += line.size();
  too_large_ = header_bytes_ > kMaxHeaderBytes;
  if (too_large_) return false;
  line = trim_blanks(line);
  if (const int status = status_of(line); status != 0) {
    response_ = {};  // what came before was an interim answer (100 Continue)
    response_.status = status;
    return true;
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  response_.headers.emplace_back(trim_blanks(line.substr(0, colon)), trim_blanks(line.substr(colon + 1)));
  return true;
}

bool HttpTransfer::receive_body(std::string_view bytes) {
  too_large_ = bytes.size() > max_response_bytes_ - response_.body.size();
  if (!too_large_) response_.body.append(bytes);
  return !too_large_;
}

// Judges the address that is about to be connected to or, for a connection that is reused, to be talked to.
bool HttpTransfer::admit(const std::optional<IpAddress>& address) {
  if (address && wire_.permit.allows(*address)) return true;
  if (address) refused_ = address;
  return false;
}

std::size_t HttpTransfer::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  return static_cast<HttpTransfer*>(self)->receive_header({data, size * count}) ? size * count : 0;
}

std::size_t HttpTransfer::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  return static_cast<HttpTransfer*>(self)->receive_body({data, size * count}) ? size * count : 0;
}

curl_socket_t HttpTransfer::on_open_socket(void* self, curlsocktype purpose, curl_sockaddr* address) {
  auto* transfer = static_cast<HttpTransfer*>(self);
  if (purpose != CURLSOCKTYPE_IPCXN) return CURL_SOCKET_BAD;
  if (!transfer->admit(IpAddress::from_sockaddr(&address->addr, address->addrlen))) return CURL_SOCKET_BAD;
  transfer->opened_socket_ = true;
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

int HttpTransfer::on_connected(void* self, char* remote, char*, int, int) {
  auto* transfer = static_cast<HttpTransfer*>(self);
  if (transfer->admit(remote == nullptr ? std::nullopt : IpAddress::parse(remote))) return CURL_PREREQFUNC_OK;
  transfer->opened_socket_ = false;
  return CURL_PREREQFUNC_ABORT;
}

std::optional<HttpOutcome> HttpTransfer::finish(CURLcode code, const HttpPolicy& policy) {
  // A server that says "later" at great length still says "later".
  const bool enough = code == CURLE_OK || (too_large_ && is_failure_status(response_.status, wire_.expect));
  if (!enough) return Unexpected{failure(code)};
  if (too_large_ && wire_.uses_secrets) response_.body.clear();  // its end may be the beginning of a secret
  const bool followed = is_redirect(response_.status) && response_.header("location") != nullptr;
  if (followed && wire_.permit.redirects > 0) return follow(policy);
  HttpOutcome outcome = judge_response(response_, wire_.call(), wire_.shown_path(), wire_.expect, elapsed(),
                                       std::chrono::system_clock::now(), scrubber_);
  if (outcome) {
    outcome->url = wire_.place + wire_.shown_path();
    outcome->bytes = response_.body.size();
  }
  return outcome;
}

std::optional<HttpOutcome> HttpTransfer::follow(const HttpPolicy& policy) {
  using enum HttpFailure::Class;
  const int status = response_.status;
  if (redirects_ >= wire_.permit.redirects) {
    return Unexpected{
        fail(kPermanent, "http_redirect", "more than " + std::to_string(redirects_) + " redirects")};
  }
  const std::string location = *response_.header("location");
  if (auto refused = follow_redirect(wire_, status, location, policy, role_)) {
    return Unexpected{std::move(*refused)};
  }
  ++redirects_;
  if (elapsed() >= timeout_) return Unexpected{failure(CURLE_OPERATION_TIMEDOUT)};
  prepare();
  return std::nullopt;
}

HttpFailure HttpTransfer::fail(HttpFailure::Class failure_class, const char* code,
                               const std::string& message) const {
  return {failure_class, code, wire_.call() + ": " + message, {}, {}};
}

// curl's own text names hosts, addresses and pieces of what the server sent. With secrets in the URL nothing
// of that is shown; with secrets elsewhere, only what is about the time before anything was sent.
std::string HttpTransfer::reason_for(CURLcode code) const {
  const bool before_sending = code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
                              code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
                              code == CURLE_OPERATION_TIMEDOUT;
  const bool showable =
      wire_.shown == UrlShown::kAll && (!wire_.uses_secrets || (before_sending && redirects_ == 0));
  return showable && error_[0] != 0 ? error_ : curl_easy_strerror(code);
}

HttpFailure HttpTransfer::failure(CURLcode code) const {
  using enum HttpFailure::Class;
  if (too_large_ || code == CURLE_FILESIZE_EXCEEDED) {
    return fail(kPermanent, "http_too_large",
                "the response is larger than " + std::to_string(max_response_bytes_) +
                    " bytes (http.max_response_bytes), or its headers than " +
                    std::to_string(kMaxHeaderBytes));
  }
  if (refused_ && !opened_socket_) {
    if (wire_.shown != UrlShown::kNothing) log_refused_address(wire_.place, refused_->to_string());
    return fail(kPermanent, "http_policy", address_refusal(wire_.place, wire_.url, *refused_, wire_.shown));
  }
  const std::string reason = reason_for(code);
  // Most of curl's codes are of other protocols or cannot happen here: those and the network's share the last
  // line.
  if (code == CURLE_OPERATION_TIMEDOUT) {
    return fail(kTransient, "http_timeout",
                "no answer within " + std::to_string(timeout_.count()) + " ms: " + reason);
  }
  if (code == CURLE_PEER_FAILED_VERIFICATION) return fail(kPermanent, "http_tls", reason);
  if (code == CURLE_URL_MALFORMAT) return fail(kPermanent, "http_request", reason);
  // "Unsupported protocol" is how curl calls an answer that does not begin like HTTP.
  const bool garbled = code == CURLE_BAD_CONTENT_ENCODING || code == CURLE_WEIRD_SERVER_REPLY ||
                       code == CURLE_UNSUPPORTED_PROTOCOL;
  if (garbled) return fail(kPermanent, "http_response", reason);
  return fail(kTransient, "http_network", reason);
}

}  // namespace durabled::daemon
