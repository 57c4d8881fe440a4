// Which URLs are let through, and what hostile spellings of them come to.
#include "daemon/http/policy.hpp"

#include "tests/daemon/http_fixture.hpp"

namespace durabled::test {
namespace {

using daemon::IpAddress;
using daemon::parse_http_url;

// The error of a URL: of its reading or of the policy; empty when it is allowed.
std::string verdict(const std::vector<AllowEntry>& entries, const std::string& url,
                    const std::string& role = "alice") {
  config::Config::Http config;
  config.allow = entries;
  const auto parsed = parse_http_url(url);
  if (!parsed) return parsed.error();
  const auto permit = make_policy(config)->check(*parsed, role);
  return permit ? "" : permit.error();
}

std::string normalised(const std::string& url) {
  const auto parsed = parse_http_url(url);
  return parsed ? parsed->text() : "error: " + parsed.error();
}

TEST_CASE("a URL is read into one form", "[http][url]") {
  const std::pair<std::string, std::string> cases[] = {
      {"https://Example.ORG", "https://example.org/"},
      {"HTTPS://example.org:443/a", "https://example.org/a"},
      {"http://example.org:8080/a?b=c#d", "http://example.org:8080/a?b=c"},
      {"https://example.org./a", "https://example.org/a"},
      {"https://example.org/a/./b/../c", "https://example.org/a/c"},
      {"https://example.org/a/%2e%2E/b", "https://example.org/b"},
      {"https://example.org/a/.%2e", "https://example.org/"},
      {"https://example.org/../../x", "https://example.org/x"},
      {"https://example.org/a//b", "https://example.org/a//b"},
      {"https://example.org/a/b/", "https://example.org/a/b/"},
      {"https://example.org/...", "https://example.org/..."},
      {"https://example.org/a b?c d", "https://example.org/a%20b?c%20d"},
      {"https://example.org/\xC3\xA9", "https://example.org/%C3%A9"},
      {"https://example.org/a\\..\\b", "https://example.org/a%5C..%5Cb"},
      {"https://example.org?q=/../x", "https://example.org/?q=/../x"},
      {"http://0x7f.1/", "http://127.0.0.1/"},
      {"http://2130706433/", "http://127.0.0.1/"},
      {"http://127.1/", "http://127.0.0.1/"},
      {"http://0177.0.0.1/", "http://127.0.0.1/"},
      {"http://127.0.0.1./", "http://127.0.0.1/"},
      {"http://[::1]/", "http://[::1]/"},
      {"http://[0:0:0:0:0:0:0:1]:81/", "http://[::1]:81/"},
      {"http://[::FFFF:127.0.0.1]/", "http://[::ffff:127.0.0.1]/"},
  };
  for (const auto& [url, expected] : cases) {
    CAPTURE(url);
    CHECK(normalised(url) == expected);
  }
}

TEST_CASE("a URL that can be read in two ways is refused", "[http][url]") {
  const std::pair<std::string, std::string> cases[] = {
      {"", "empty"},
      {"example.org/x", "no scheme"},
      {"//example.org/x", "no scheme"},
      {" https://example.org/", "no scheme"},
      {"ftp://example.org/", "unsupported URL scheme"},
      {"file:///etc/passwd", "unsupported URL scheme"},
      {"gopher://example.org/", "unsupported URL scheme"},
      {"javascript:alert(1)", "unsupported URL scheme"},
      {"https:example.org", "not followed by ://"},
      {"https:/example.org", "not followed by ://"},
      {"https:///example.org", "no host"},
      {"https://", "no host"},
      {"https://user@example.org/", "user name or password"},
      {"https://user:word@example.org/", "user name or password"},
      {"https://good.org@evil.org/", "user name or password"},
      {"https://good.org\\@evil.org/", "user name or password"},
      {"https://good.org\\.evil.org/", "character"},
      {"https://exa mple.org/", "character"},
      {"https://example.org%2fevil.org/", "character"},
      {"https://%31%32%37.0.0.1/", "character"},
      {"https://ex\xC3\xA4mple.org/", "character"},
      {"http://[fe80::1%25eth0]/", "character"},
      {"https://example.org\n.evil.org/", "control character"},
      {std::string("https://example.org/\0x", 22), "control character"},
      {"https://example.org/a\r\nHost: evil.org", "control character"},
      {"https://example.org/a\tb", "control character"},
      {"https://example..org/", "not a valid name"},
      {"https://example.org../", "not a valid name"},
      {"https://.example.org/", "not a valid name"},
      {"https://./", "not a valid name"},
      {"http://1.2.3.4.5/", "not a valid IPv4"},
      {"http://256.1.1.1/", "not a valid IPv4"},
      {"http://4294967296/", "not a valid IPv4"},
      {"http://example.123/", "not a valid IPv4"},
      {"http://a.0x7f/", "not a valid IPv4"},
      {"http://09.1.1.1/", "not a valid IPv4"},
      {"https://example.org:0/", "port"},
      {"https://example.org:65536/", "port"},
      {"https://example.org:80:80/", "port"},
      {"https://example.org:x/", "port"},
  };
  for (const auto& [url, expected] : cases) {
    CAPTURE(url);
    const auto parsed = parse_http_url(url);
    CHECK(!parsed);
    if (!parsed) CHECK_THAT(parsed.error(), ContainsSubstring(expected));
  }
}

TEST_CASE("nothing is allowed unless an entry says so", "[http][policy]") {
  CHECK_THAT(verdict({}, "https://example.org/"),
             ContainsSubstring("host example.org is not in the allowed hosts"));
  CHECK(verdict({allow("https", "example.org")}, "https://example.org/any?x=1").empty());
  CHECK(verdict({allow("https", "Example.Org.")}, "https://example.org").empty());
  CHECK_THAT(verdict({allow("https", "example.org")}, "http://example.org/"),
             ContainsSubstring("not in the allowed schemes"));
  CHECK_THAT(verdict({allow("https", "example.org")}, "https://example.org:8443/"),
             ContainsSubstring("not in the allowed"));
  CHECK(verdict({allow("https", "example.org", 8443)}, "https://example.org:8443/").empty());
  CHECK_THAT(verdict({allow("https", "example.org")}, "https://evil-example.org/"),
             ContainsSubstring("not in the allowed hosts"));
  CHECK_THAT(verdict({allow("https", "example.org")}, "https://example.org.evil.org/"),
             ContainsSubstring("not in the allowed hosts"));
}

TEST_CASE("a host pattern matches whole labels only", "[http][policy]") {
  const std::vector<AllowEntry> sub = {allow("https", "*.example.org")};
  CHECK(verdict(sub, "https://a.example.org/").empty());
  CHECK(verdict(sub, "https://a.b.example.org/").empty());
  CHECK_FALSE(verdict(sub, "https://example.org/").empty());
  CHECK_FALSE(verdict(sub, "https://evilexample.org/").empty());
  CHECK_FALSE(verdict(sub, "https://a.example.org.evil.org/").empty());
  const std::vector<AllowEntry> part = {allow("https", "api-*.example.org")};
  CHECK(verdict(part, "https://api-1.example.org/").empty());
  CHECK_FALSE(verdict(part, "https://api-1.evil.example.org/").empty());
  CHECK_FALSE(verdict(part, "https://api-1.evil.org/").empty());
  CHECK(verdict({allow("https", "*")}, "https://anything.at.all/").empty());
}

TEST_CASE("an IP address is allowed only by its own name", "[http][policy]") {
  const std::vector<AllowEntry> any = {allow("http", "*"), allow("http", "*.0.0.1")};
  for (const char* url :
       {"http://127.0.0.1/", "http://0x7f.1/", "http://2130706433/", "http://127.1/", "http://[::1]/",
        "http://[::ffff:127.0.0.1]/", "http://127.0.0.1./", "http://8.8.8.8/"}) {
    CAPTURE(url);
    CHECK_THAT(verdict(any, url), ContainsSubstring("bare IP"));
  }
  CHECK(verdict({allow("http", "8.8.8.8")}, "http://8.8.8.8/").empty());
  CHECK(verdict({allow("http", "[2606:4700:0::1111]")}, "http://[2606:4700::1111]/").empty());
  CHECK_THAT(verdict({allow("http", "127.0.0.1")}, "http://[::ffff:127.0.0.1]/"),
             ContainsSubstring("bare IP"));
}

TEST_CASE("a path cannot leave its prefix", "[http][policy]") {
  const std::vector<AllowEntry> v1 = {allow("https", "example.org", 0, "/v1")};
  for (const char* path : {"/v1", "/v1/", "/v1/x", "/v1/a/../b", "/v1?x=/../..", "/v1/a%20b", "/v1/100%",
                           "/x/../v1/y", "/v1/..a", "/v1//x", "/v1/%c3%a4", "/v1/\u00e4", "/v1/a.b"}) {
    CAPTURE(path);
    CHECK(verdict(v1, std::string("https://example.org") + path).empty());
  }
  for (const char* path : {"/",
                           "/v10",
                           "/v2/v1",
                           "/v1/../admin",
                           "/v1/%2e%2e/admin",
                           "/v1/..%2fadmin",
                           "/v1/%2e%2e%2fadmin",
                           "/v1/..%5cadmin",
                           "/v1/..\\admin",
                           "/v1/%252e%252e/admin",
                           "/v1/%252e%252e%252fadmin",
                           "/v1/..;/admin",
                           "/v1/..;x=1/admin",
                           "/v1//..%2f..%2fadmin",
                           "/v1%2f..%2fadmin",
                           "//v1/x",
                           "/V1/x",
                           "/v1/.%2e/admin",
                           "/v1/x/..%2f..%2fadmin",
                           "/v1/%25252e%25252e/admin",
                           "/v1/%c0%ae%c0%ae/admin",
                           "/v1/%e0%80%ae%e0%80%ae/admin",
                           "/v1/%c0%af",
                           "/v1/%ef%bc%8e%ef%bc%8e/admin",
                           "/v1/\uFF0E\uFF0E/admin",
                           "/v1/%25ef%25bc%258e%25ef%25bc%258e/admin",
                           "/v1/\u2025/admin",
                           "/v1/..%00",
                           "/v1/.%09./admin",
                           "/v1/a%0ab",
                           "/v1/%7f",
                           "/v1/%u002e%u002e/admin",
                           "/v1/a%2fb",
                           "/v1/a%2Eb",
                           "/v1/a%5Cb",
                           "/v1/%ff"}) {
    CAPTURE(path);
    CHECK_THAT(verdict(v1, std::string("https://example.org") + path),
               ContainsSubstring("not in the allowed path prefixes of https://example.org"));
  }
  CHECK(verdict({allow("https", "example.org", 0, "/a%20b/")}, "https://example.org/a%20b/c").empty());
}

TEST_CASE("an entry for some roles is for those only", "[http][policy]") {
  auto entry = allow("https", "example.org");
  entry.roles = {"alice", "carol"};
  CHECK(verdict({entry}, "https://example.org/", "alice").empty());
  CHECK_THAT(verdict({entry}, "https://example.org/", "bob"),
             ContainsSubstring("role bob is not in the allowed roles"));
  CHECK_THAT(verdict({entry}, "https://example.org/", ""), ContainsSubstring("not in the allowed roles"));
}

TEST_CASE("a refusal shows the lines that would allow the URL, and no more of its path than one segment",
          "[http][policy]") {
  const std::string host = verdict({}, "https://example.org:8443/secret-path?token=x");
  CHECK_THAT(host,
             ContainsSubstring(
                 "http:\n  allow:\n    - scheme: https\n      host: \"example.org\"\n      port: 8443"));
  CHECK_THAT(host, !ContainsSubstring("secret-path"));
  const std::string path =
      verdict({allow("https", "example.org", 0, "/v1")}, "https://example.org/v2/secret-path?token=x");
  CHECK_THAT(path, ContainsSubstring("path_prefix: \"/v2\""));
  CHECK_THAT(path, !ContainsSubstring("secret-path") && !ContainsSubstring("token"));
}

TEST_CASE("a wrong entry is named", "[http][policy]") {
  const auto problem = [](AllowEntry entry) {
    config::Config::Http config;
    config.allow = {allow("https", "fine.org"), std::move(entry)};
    const auto policy = daemon::HttpPolicy::create(config);
    return policy ? std::string() : policy.error();
  };
  CHECK_THAT(problem(allow("ftp", "example.org")), ContainsSubstring("http.allow[1]: scheme"));
  CHECK_THAT(problem(allow("https", "")), ContainsSubstring("http.allow[1]: host"));
  CHECK_THAT(problem(allow("https", "https://example.org")), ContainsSubstring("host"));
  CHECK_THAT(problem(allow("https", "example.org", 70000)), ContainsSubstring("port"));
  CHECK_THAT(problem(allow("https", "example.org", 0, "v1")), ContainsSubstring("path_prefix"));
  auto range = allow("https", "example.org");
  for (const char* bad : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "ten", "::/129", "10.0.0.0/-1"}) {
    range.address_ranges = {bad};
    CHECK_THAT(problem(range), ContainsSubstring("address range"));
  }
}

TEST_CASE("addresses that are not public are known", "[http][address]") {
  const std::pair<const char*, const char*> cases[] = {
      {"8.8.8.8", ""},
      {"172.15.255.255", ""},
      {"172.32.0.0", ""},
      {"100.63.255.255", ""},
      {"2606:4700::1111", ""},
      {"::ffff:8.8.8.8", ""},
      {"64:ff9b::8.8.8.8", ""},
      {"0.0.0.0", "unspecified"},
      {"10.1.2.3", "private"},
      {"100.64.0.1", "carrier-grade NAT"},
      {"127.0.0.1", "loopback"},
      {"127.255.255.254", "loopback"},
      {"169.254.1.1", "link-local"},
      {"169.254.169.254", "cloud metadata"},
      {"168.63.129.16", "cloud metadata"},
      {"172.16.0.1", "private"},
      {"172.31.255.255", "private"},
      {"192.0.2.1", "documentation"},
      {"192.168.1.1", "private"},
      {"198.19.255.255", "benchmarking"},
      {"198.51.100.1", "documentation"},
      {"203.0.113.1", "documentation"},
      {"224.0.0.1", "multicast"},
      {"255.255.255.255", "reserved"},
      {"::", "unspecified"},
      {"::1", "loopback"},
      {"::127.0.0.1", "IPv4-compatible"},
      {"::ffff:127.0.0.1", "loopback"},
      {"::ffff:169.254.169.254", "cloud metadata"},
      {"64:ff9b::10.0.0.1", "private"},
      {"64:ff9b:1::8.8.8.8", "local NAT64"},
      {"2001::1", "Teredo"},
      {"2001:db8::1", "documentation"},
      {"2002:7f00:1::", "6to4"},
      {"3fff::1", "documentation"},
      {"fc00::1", "private"},
      {"fd00:ec2::254", "cloud metadata"},
      {"fe80::1", "link-local"},
      {"fec0::1", "site-local"},
      {"ff02::1", "multicast"},
      {"4000::1", "reserved"},
      {"::ffff:0:127.0.0.1", "reserved"},
  };
  for (const auto& [text, what] : cases) {
    CAPTURE(text);
    const auto address = IpAddress::parse(text);
    REQUIRE(address);
    CHECK(daemon::special_purpose(*address) == what);
  }
}

TEST_CASE("an address range lets through what it contains and nothing else", "[http][address]") {
  daemon::HttpPermit permit;
  permit.ranges = {*daemon::AddressRange::parse("10.1.0.0/16"),
                   *daemon::AddressRange::parse("fd12:3400::/23")};
  const std::pair<const char*, bool> cases[] = {
      {"10.1.255.255", true}, {"10.2.0.0", false},       {"127.0.0.1", false},
      {"8.8.8.8", true},      {"::ffff:10.1.2.3", true}, {"::ffff:10.2.2.3", false},
      {"fd12:3500::1", true}, {"fd12:3600::1", false},   {"64:ff9b::10.1.2.3", true}};
  for (const auto& [text, allowed] : cases) {
    CAPTURE(text);
    CHECK(permit.allows(*IpAddress::parse(text)) == allowed);
  }
}

TEST_CASE("a redirect's location is resolved and judged as strictly as a URL", "[http][url]") {
  const auto base = *parse_http_url("https://example.org/a/b?c");
  const std::pair<std::string, std::string> cases[] = {
      {"/x", "https://example.org/x"},
      {"x", "https://example.org/a/x"},
      {"../x", "https://example.org/x"},
      {"?d", "https://example.org/a/b?d"},
      {"//other.org/x", "https://other.org/x"},
      {"http://other.org/x#f", "http://other.org/x"},
      {"/x?u=http://y", "https://example.org/x?u=http://y"},
  };
  for (const auto& [location, expected] : cases) {
    CAPTURE(location);
    const auto target = daemon::resolve_location(base, location);
    CHECK((target ? target->text() : target.error()) == expected);
  }
  for (const char* location : {"ftp://example.org/", "file:///etc/passwd", "http://u:p@other.org/",
                               "//u@other.org/", "", "http:/x", "/x\r\ny", "javascript:0"}) {
    CAPTURE(location);
    CHECK_FALSE(daemon::resolve_location(base, location));
  }
}

}  // namespace
}  // namespace durabled::test
