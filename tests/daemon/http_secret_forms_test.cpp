// No message shows a secret, whole or in part, in any form, wherever it stands and whatever goes wrong.
#include <array>
#include <cctype>
#include <cstdlib>
#include <set>

#include "daemon/http/client.hpp"
#include "daemon/http/scrubber.hpp"
#include "tests/daemon/http_fixture.hpp"

namespace durabled::test {
namespace {

// Pieces of four letters or digits and more are looked for by themselves, so none is a word of a message.
const std::vector<std::string>& secrets() {
  static const std::vector<std::string> all{"3735928559",                        // an address, to a resolver
                                            "SK-LIVE-9F8E7D6C5B4A",              // a host in lower case
                                            "p@ss/w0rdSlash?qu3ry#fr4gment",     //
                                            "two wordz inside",                  //
                                            "p\u00e4ssw\u00f6rd-Geheimniskram",  //
                                            "qu0ted\"back\\sl4sh<&>",            //
                                            "%41%42percentage",                  //
                                            "d0tt.ed.n4me.Zone",                 //
                                            "0xDEADBEEF",                        //
                                            "Qz7"};
  return all;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::string percent_encoded(const std::string& text, const std::string& plain) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool kept = (byte < 0x80 && std::isalnum(byte) != 0) || plain.find(c) != std::string::npos;
    out += kept ? std::string(1, c) : std::string("%") + kHex[byte >> 4] + kHex[byte & 15];
  }
  return out;
}

std::string json_escaped(const std::string& text) {
  const std::string quoted = boost::json::serialize(boost::json::string(text));
  return quoted.substr(1, quoted.size() - 2);
}

// What must not be found, in lower case: the value in its forms, and its pieces.
std::set<std::string> traces(const std::string& secret) {
  std::set<std::string> all{lower(secret), lower(percent_encoded(secret, "-._~")),
                            lower(percent_encoded(secret, "-._~/?#@\"<&>")), lower(json_escaped(secret))};
  std::string piece;
  for (const char c : secret + " ") {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && std::isalnum(byte) != 0) {
      piece += c;
    } else {
      if (piece.size() >= 4) all.insert(lower(piece));
      piece.clear();
    }
  }
  if (secret == "3735928559" || secret == "0xDEADBEEF") all.insert("222.173.190.239");
  return all;
}

void check_silent(const std::string& text, const std::string& secret) {
  for (const std::string& trace : traces(secret)) {
    CAPTURE(secret, trace, text);
    CHECK(lower(text).find(trace) == std::string::npos);
  }
}

std::string written_down(const daemon::HttpOutcome& outcome) {
  return outcome ? outcome->json
                 : outcome.error().code + " | " + outcome.error().message + " | " + outcome.error().detail;
}

// Answers that say what was asked, in several forms.
TestAnswer echoing(int status, const TestCall& call) {
  const std::string seen = call.path + "?" + call.query + " " + call.header("x-key") + " " + call.body;
  TestAnswer answer{status, seen + " " + lower(seen) + " " + percent_encoded(seen, "/") + " " +
                                percent_encoded(seen, "") + " " + json_escaped(seen)};
  const std::string key = call.header("x-key");
  if (!key.empty()) {
    answer.headers = {{"X-Echo", "got " + key}, {"X-Echo-Lower", lower(key)}};
    const bool is_token = std::all_of(key.begin(), key.end(), [](unsigned char c) {
      return c < 0x80 && (std::isalnum(c) != 0 || c == '-' || c == '.');
    });
    if (is_token) answer.headers.emplace_back(key, "as a name");
  }
  return answer;
}

class Calls {
 public:
  explicit Calls(const std::string& secret) : secret_(secret) {
    setenv("DURABLED_SECRET_S", secret.c_str(), 1);
    for (const int status : {200, 404, 500})
      fixture_.server.route("/echo" + std::to_string(status),
                            [status](const TestCall& call) { return echoing(status, call); });
    fixture_.server.route("/away", [](const TestCall& call) {
      return TestAnswer{
          302, "", {{"Location", "http://" + call.header("x-key") + "/" + call.header("x-key")}}};
    });
    fixture_.server.route("/moved", [](const TestCall& call) {
      return TestAnswer{
          302, "", {{"Location", "http://elsewhere.example.org" + call.path + "?" + call.query}}};
    });
    fixture_.server.route("/strange", [](const TestCall& call) {
      return TestAnswer{302, "", {{"Location", call.header("x-key") + "://example.org/"}}};
    });
    fixture_.server.route("/long", [](const TestCall& call) {
      return TestAnswer{503, std::string(95, '.') + call.header("x-key") + std::string(500'000, '.')};
    });
    fixture_.server.route("/garbled", TestAnswer{200, "no HTTP", {}, 0ms, TestAnswer::Fate::kRaw});
    fixture_.config.allow.back().redirects = 1;
    fixture_.allow_host("inner.example.org");
    fixture_.config.allow.push_back(allow("http", "below.example.org", fixture_.server.port(), "/v1"));
    client_ = fixture_.client({{fixture_.lookup("inner.example.org"), fixture_.lookup("below.example.org")}});
  }
  ~Calls() { unsetenv("DURABLED_SECRET_S"); }
  Calls(const Calls&) = delete;
  Calls& operator=(const Calls&) = delete;

  void url(const std::string& text) {
    auto request = fixture_.request("/", "POST");
    request.url = with_secrets(text);
    check(std::move(request));
  }

  // To `path` with the secret in a header, in the body, and in parts.
  void payloads(const std::string& path) {
    auto request = fixture_.request(path, "POST");
    request.headers = {{"X-Key", with_secrets("{secret.S}")}};
    check(request);
    request.headers = {{"X-Key", with_secrets("Bearer {secret.S}")}};
    check(request);
    request.headers.clear();
    request.body = with_secrets("a {secret.S} b");
    check(request);
    request.body.reset();
    request.parts = {{"data", with_secrets("{secret.S}"), false, with_secrets("{secret.S}.txt"),
                      with_secrets("text/{secret.S}")}};
    check(request);
    request.parts = {{"data", with_secrets("{secret.S}"), true, {}, {}}};
    check(request);
  }

  std::string on_server(const std::string& path) const { return fixture_.server.url(path); }
  std::string at(const std::string& host, const std::string& path) const {
    return fixture_.server.url(path, host);
  }

 private:
  void check(daemon::HttpRequest request) {
    request.timeout = request.url.display().find("/hang") == std::string::npos ? 10s : 100ms;
    if (request.url.display().find("/long") != std::string::npos) request.max_response_bytes = 100;
    CAPTURE(request.url.display());
    check_silent(written_down(call(*client_, std::move(request))), secret_);
  }

  std::string secret_;
  HttpFixture fixture_;
  std::unique_ptr<daemon::HttpClient> client_;
};

TEST_CASE("no message shows a secret of a URL in any form", "[http][secrets][L5.2]") {
  for (const std::string& secret : secrets()) {
    Calls calls(secret);
    calls.url("{secret.S}");
    calls.url("{secret.S}://127.0.0.1/");
    calls.url("ht{secret.S}://127.0.0.1/");
    for (const char* host : {"{secret.S}", "{secret.S}.example.org", "example.{secret.S}", "x{secret.S}y",
                             "[{secret.S}]", "user:{secret.S}@example.org", "127.0.0.1{secret.S}"}) {
      calls.url(std::string("http://") + host + "/");
      calls.url(std::string("https://") + host);
      calls.url(std::string("http://") + host + ":99999/x");
    }
    calls.url("http://127.0.0.1:{secret.S}/");
    calls.url("http://inner.example.org:1{secret.S}");
    for (const std::string place :
         {"/{secret.S}", "/a/{secret.S}/b", "?q={secret.S}", "#{secret.S}", "{secret.S}"}) {
      // A short value is not looked for within words, where a server would have put it.
      if (secret.size() < 4 && place == "{secret.S}") continue;
      for (const char* path :
           {"/echo200", "/echo404", "/echo500", "/reset", "/hang", "/flood", "/garbled", "/moved"})
        calls.url(calls.on_server(path) + place);
      calls.url(calls.at("inner.example.org", "/x") + place);   // leads to an address that is not allowed
      calls.url(calls.at("below.example.org", "/v2") + place);  // no allowed prefix
      calls.url(calls.at("below.example.org", "") + place);
      calls.url(calls.at("elsewhere.example.org", "/x") + place);    // no allowed host
      calls.url("https" + calls.on_server("/x").substr(4) + place);  // no TLS there, nor an entry
    }
  }
}

TEST_CASE("no message shows a secret of headers, bodies and parts in any form", "[http][secrets][L5.2]") {
  for (const std::string& secret : secrets()) {
    Calls calls(secret);
    for (const char* path : {"/echo200", "/echo404", "/echo500", "/away", "/strange", "/long", "/reset",
                             "/hang", "/flood", "/garbled"})
      calls.payloads(path);
  }
}

TEST_CASE("the scrubber knows a value in every usual form, and leaves the rest alone", "[http][secrets]") {
  daemon::SecretScrubber scrubber;
  scrubber.add("A", "p\u00e4 s+\"s<1>/%");
  const std::string x = "{secret.A}";
  for (const std::string form :
       {"p\u00e4 s+\"s<1>/%", "P\u00e4 S+\"S<1>/%", "p%c3%a4%20s%2B%22s%3C1%3E%2F%25",
        "p%C3%A4+s%2b\"s<1>/%25", R"(p\u00e4 s+\"s<1>\/%)", "p&#228; s+&quot;s&lt;1&gt;/%",
        "p&#xe4;&#32;s&#43;&QUOT;s&lt;1&gt;&#x2f;%", R"(p%c3%a4\u0020s+\"s&lt;1%3e/%)"}) {
    CAPTURE(form);
    CHECK(scrubber.scrub("<" + form + ">") == "<" + x + ">");
    CHECK(scrubber.scrub(form + form) == x + x);
  }
  for (const std::string other : {"p\u00e4 s+\"s<1>/", "p", "%", "", "p&#; &#x; \\u12 %4 &"}) {
    CAPTURE(other);
    CHECK(scrubber.scrub(other) == other);
  }
  daemon::SecretScrubber nested;
  nested.add("LONG", "abcdef");
  nested.add("PART", "abcd");
  nested.add("SHORT", "c4");
  CHECK(nested.scrub("abcdef abcde abc c4 xc4 c4!C4") ==
        "{secret.LONG} {secret.PART}e abc {secret.SHORT} xc4 {secret.SHORT}!{secret.SHORT}");
  daemon::SecretScrubber emoji;
  emoji.add("E", "\U0001F600key");
  CHECK(emoji.scrub(R"("\ud83d\ude00KEY")") == "\"{secret.E}\"");
}

}  // namespace
TEST_CASE("an answer made of escapes is searched for many secrets in one pass") {
  daemon::SecretScrubber scrubber;
  for (int i = 0; i < 30; ++i)
    scrubber.add("K" + std::to_string(i), "sk-" + std::to_string(i) + std::string(40, 'x'));
  for (const char* unit : {"%", "\\", "&", "+", "%2", "%25", "\\u", "&#", "%73%6b-", "&#115;k-1x"}) {
    INFO(unit);
    std::string body;
    while (body.size() < (1 << 20)) body += unit;
    const std::string clean = scrubber.scrub(body);
    CHECK(clean.size() == body.size());
    CHECK(scrubber.scrub(body + "&#115;k%2D7" + std::string(40, 'X') + unit).find("{secret.K7}") !=
          std::string::npos);
  }
}

TEST_CASE("of two secrets that begin alike the longer one is replaced") {
  daemon::SecretScrubber scrubber;
  scrubber.add("SHORT", "token");
  scrubber.add("LONG", "token-of-alice");
  CHECK(scrubber.scrub("a token-of-alice, a %74oken") == "a {secret.LONG}, a {secret.SHORT}");
}

}  // namespace durabled::test
