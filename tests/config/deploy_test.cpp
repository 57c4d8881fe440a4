// The manifests in examples/deploy: what they must agree about with the daemon, its image and each other.
#include <yaml-cpp/yaml.h>

#include <string>

#include "config/loader.hpp"
#include "config/units.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/paths.hpp"
#include "tests/support/temporary_directory.hpp"

namespace durabled::test {
namespace {

std::string text_of(const std::string& name) {
  return read_file(std::string(kSourceDirectory) + "/examples/deploy/" + name);
}

YAML::Node manifest(const std::string& name) {
  return YAML::Load(text_of("kubernetes/" + name));
}

config::Config configuration(const std::string& yaml) {
  return config::load_text(yaml, "test", {}).config;
}

// Of the image, see systemd/package.
constexpr int kImageUser = 65532;

}  // namespace

TEST_CASE("Kubernetes restarts a daemon that hangs, not one whose database is away") {
  const auto container = manifest("deployment.yaml")["spec"]["template"]["spec"]["containers"][0];
  CHECK(container["livenessProbe"]["httpGet"]["path"].as<std::string>() == "/healthz");
  CHECK(container["readinessProbe"]["httpGet"]["path"].as<std::string>() == "/readyz");
  const auto config = configuration(manifest("configmap.yaml")["data"]["durabled.yaml"].as<std::string>());
  const std::string port = container["ports"][0]["containerPort"].as<std::string>();
  CHECK(config.metrics.listen == "0.0.0.0:" + port);
  for (const char* probe : {"livenessProbe", "readinessProbe"})
    CHECK(container[probe]["httpGet"]["port"].as<std::string>() ==
          container["ports"][0]["name"].as<std::string>());
  CHECK(manifest("pod-monitor.yaml")["spec"]["podMetricsEndpoints"][0]["port"].as<std::string>() ==
        container["ports"][0]["name"].as<std::string>());
}

TEST_CASE("platforms wait longer for the end than the daemon for its running steps") {
  using std::chrono::seconds;
  const auto pod = manifest("deployment.yaml")["spec"]["template"]["spec"];
  const auto config = configuration(manifest("configmap.yaml")["data"]["durabled.yaml"].as<std::string>());
  CHECK(seconds(pod["terminationGracePeriodSeconds"].as<int>()) > config.worker.shutdown_grace);
  const config::Config by_default;
  CHECK(seconds(YAML::Load(text_of("render.yaml"))["services"][0]["maxShutdownDelaySeconds"].as<int>()) >
        by_default.worker.shutdown_grace);
  CHECK_THAT(text_of("fly.toml"), ContainsSubstring("\nkill_timeout = 60\n") &&
                                      ContainsSubstring("\nkill_signal = \"SIGTERM\"\n"));
}

TEST_CASE("pods run as the image's user, without rights and with a root that is read-only") {
  for (const char* name : {"deployment.yaml", "schema-job.yaml"}) {
    CAPTURE(name);
    const auto pod = manifest(name)["spec"]["template"]["spec"];
    CHECK(pod["securityContext"]["runAsNonRoot"].as<bool>());
    CHECK(pod["securityContext"]["runAsUser"].as<int>() == kImageUser);
    CHECK_FALSE(pod["automountServiceAccountToken"].as<bool>());
    // It would make files of secrets readable by the group, and libpq then ignores a passfile.
    CHECK_FALSE(pod["securityContext"]["fsGroup"]);
    const auto security = pod["containers"][0]["securityContext"];
    CHECK(security["readOnlyRootFilesystem"].as<bool>());
    CHECK_FALSE(security["allowPrivilegeEscalation"].as<bool>());
    CHECK(security["capabilities"]["drop"][0].as<std::string>() == "ALL");
  }
  CHECK_THAT(read_file(std::string(kSourceDirectory) + "/systemd/package"),
             ContainsSubstring("--config.user " + std::to_string(kImageUser) + ':'));
}

TEST_CASE("one daemon stays while nodes are drained, and all manifests select the same pods") {
  const auto deployment = manifest("deployment.yaml")["spec"],
             budget = manifest("disruption-budget.yaml")["spec"];
  CHECK(deployment["replicas"].as<int>() > budget["minAvailable"].as<int>());
  const auto labels = YAML::Dump(deployment["template"]["metadata"]["labels"]);
  CHECK(YAML::Dump(deployment["selector"]["matchLabels"]) == labels);
  CHECK(YAML::Dump(budget["selector"]["matchLabels"]) == labels);
  CHECK(YAML::Dump(manifest("pod-monitor.yaml")["spec"]["selector"]["matchLabels"]) == labels);
  const auto resources = manifest("kustomization.yaml")["resources"];
  for (const auto& resource : resources) CHECK_NOTHROW(manifest(resource.as<std::string>()));
  CHECK(resources.size() == 5);
}

TEST_CASE(
    "the small profile is a configuration that the daemon takes, and leaves most connections to others") {
  const auto config = configuration(text_of("small.yaml"));
  CHECK(config.steps.connections + config.steps.connections_reserve <= 8);
  CHECK(config.identity.mode == "set_role");
}

}  // namespace durabled::test
