"""tests/apps/deploy_cases.py MILLRACE DEPLOY - the manifests that a user copies: that they agree
with each other and with what Kubernetes asks of an Indexed Job, and that what a container runs is
right, with the variables that it gets there. (tests/slurm runs those for Slurm.)
"""

import os
import re
import shutil
import string
import subprocess
import sys
import tempfile

import yaml

MILLRACE, DEPLOY = sys.argv[1:3]
K8S = os.path.join(DEPLOY, "k8s")
PLACES = {"Job": "batch/v1", "Service": "v1", "ConfigMap": "v1",
          "Kustomization": "kustomize.config.k8s.io/v1beta1"}


def read(name):
    with open(os.path.join(K8S, name), encoding="ascii") as file:
        document = yaml.safe_load(file)
    assert PLACES[document["kind"]] == document["apiVersion"], name
    return document


def all_files_are_used():
    resources = read("kustomization.yaml")["resources"]
    files = {name for name in os.listdir(K8S) if name.endswith(".yaml")}
    assert set(resources) == files - {"kustomization.yaml"}, (resources, files)


def job_is_an_indexed_one_with_a_name_for_rank_0():
    job, service = read("job.yaml"), read("service.yaml")
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    variables = {v["name"]: v["value"] for v in pod["containers"][0]["env"]}
    assert spec["completionMode"] == "Indexed" and spec["backoffLimit"] == 0
    assert spec["completions"] == spec["parallelism"] == int(variables["MILLRACE_RANK_COUNT"])
    assert pod["restartPolicy"] in ("Never", "OnFailure")
    # Pods of an Indexed Job have the host name JOB-INDEX, and in DNS that before the service.
    port = service["spec"]["ports"][0]["port"]
    assert pod["subdomain"] == service["metadata"]["name"]
    assert (variables["MILLRACE_COORDINATOR"] ==
            f"{job['metadata']['name']}-0.{service['metadata']['name']}:{port}")
    assert service["spec"]["clusterIP"] == "None" and service["spec"]["publishNotReadyAddresses"]
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def container_gets_what_it_asks_for():
    pod = read("job.yaml")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    resources = container["resources"]
    # Cores of its own are given for whole CPUs in pods of the class Guaranteed; huge pages and
    # devices must be asked for as they are limited.
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["cpu"].isdigit() and "hugepages-2Mi" in resources["limits"]
    mounted = {m["name"]: m["mountPath"] for m in container["volumeMounts"]}
    assert set(mounted) == {volume["name"] for volume in pod["volumes"]}
    huge = next(v for v in pod["volumes"] if v["name"] == "hugepages")
    assert huge["emptyDir"]["medium"] == "HugePages-2Mi"
    maps = [v["configMap"]["name"] for v in pod["volumes"] if "configMap" in v]
    assert maps == [read("configmap.yaml")["metadata"]["name"]]
    variables = {v["name"]: v["value"] for v in container["env"]}
    assert os.path.dirname(variables["MILLRACE_CONFIG"]) == mounted["config"]
    assert variables["MILLRACE_OUTPUT"] == mounted["results"]
    # A device plugin puts the device's name into a variable made of the resource's.
    resource = next(name for name in resources["limits"] if "/" in name)
    variable = "PCIDEVICE_" + resource.upper().replace(".", "_").replace("/", "_")
    assert variable in container["args"][0]


def every_pod_runs_its_own_rank():
    container = read("job.yaml")["spec"]["template"]["spec"]["containers"][0]
    settings = read("configmap.yaml")["data"]
    with tempfile.TemporaryDirectory() as folder:
        for name, text in settings.items():
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(text)
            done = subprocess.run([MILLRACE, "config", "check", os.path.join(folder, name)],
                                  capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done
        with open(os.path.join(folder, "millrace"), "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\nexec '{MILLRACE}' \"$@\" --dry-run\n")
        os.chmod(os.path.join(folder, "millrace"), 0o755)
        for index in range(4):
            environment = {v["name"]: v["value"] for v in container["env"]}
            config = os.path.join(folder, os.path.basename(environment["MILLRACE_CONFIG"]))
            environment.update(PATH=f"{folder}:/usr/bin:/bin", MILLRACE_CONFIG=config,
                               JOB_COMPLETION_INDEX=str(index),
                               PCIDEVICE_INTEL_COM_SRIOV="0000:03:02.1")
            done = subprocess.run([*container["command"], *container["args"]], env=environment,
                                  capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done
            for line in (f'ip = ["10.2.1.{index + 1}/16"]', 'dev = ["pci:0000:03:02.1"]',
                         'ranks = "auto"', 'coordinator = "millrace-load-0.millrace-load:7070"',
                         'rate = "4M"', 'rank-timeout = "5m"', 'cores = "auto"'):
                assert line in done.stdout, (line, done.stdout)
        del environment["PCIDEVICE_INTEL_COM_SRIOV"]
        done = subprocess.run([*container["command"], *container["args"]], env=environment,
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0 and "no device was given" in done.stderr, done


def containerfile():
    """Its instructions, each as a list of words, with arguments that have a default put in."""
    with open(os.path.join(K8S, "Containerfile"), encoding="ascii") as file:
        lines = [line for line in file.read().replace("\\\n", " ").splitlines()
                 if line and not line.startswith("#")]
    defaults = dict(line.split()[1].split("=") for line in lines if line.startswith("ARG "))
    return [string.Template(line).safe_substitute(defaults).split() for line in lines]


def image_is_made_of_what_is_there():
    root, lines = os.path.dirname(DEPLOY), containerfile()
    copied = [line[1:-1] for line in lines if line[0] == "COPY" and not line[1].startswith("--")]
    for path in sum(copied, []):
        assert os.path.exists(os.path.join(root, path)), path
    with open(os.path.join(root, "meson.build"), encoding="ascii") as file:
        meson = file.read()
    assert set(re.findall(r"subdir\('(\w+)'\)", meson)) <= set(sum(copied, [])), copied
    assert [line[1] for line in lines if line[0] == "FROM"] == [
        "docker.io/library/debian:12", "docker.io/library/debian:12-slim"], lines
    pod = read("job.yaml")["spec"]["template"]["spec"]
    version = re.search(r"^\s*version: '([^']+)'", meson, re.M)[1]
    assert pod["containers"][0]["image"] == f"millrace:{version}"
    assert ["USER", str(pod["securityContext"]["runAsUser"])] in lines, lines


def dependencies(packages):
    """Of Debian packages that are installed, all the way."""
    known, left = set(), list(packages)
    while left:
        package = left.pop()
        if package in known:
            continue
        known.add(package)
        said = subprocess.run(["dpkg-query", "-W", "-f", "${Depends}", package],
                              capture_output=True, text=True, check=False).stdout
        left += [word.split()[0].split(":")[0] for word in re.split("[,|]", said) if word.split()]
    return known


def package_of(library):
    for path in (library, os.path.realpath(library), "/usr" + library):
        said = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True,
                              check=False).stdout
        if said:
            return said.split(":")[0]
    return None


def image_has_the_libraries_that_the_program_links():
    """By this machine's packages, where the program links those of Debian."""
    if shutil.which("dpkg-query") is None or shutil.which("ldd") is None:
        return
    linked = subprocess.run(["ldd", MILLRACE], capture_output=True, text=True, check=True).stdout
    owners = {path: package_of(path) for path in re.findall(r"=> (/\S+)", linked)}
    if None in owners.values():  # DPDK from elsewhere
        return
    line = next(line for line in containerfile() if line[:3] == ["RUN", "apt-get", "update"])
    named = [word for word in line[line.index("--no-install-recommends") + 1:line.index("rm") - 1]]
    missing = set(owners.values()) - dependencies(named)
    # What every image has, and what builds with sanitizers link besides.
    others = {"libc6", "libgcc-s1", "libasan8", "libubsan1", "libtsan2"}
    assert missing <= others, (missing, named)
    # Drivers are loaded at start: pools of packets are rings, ports are on these buses.
    assert {"librte-mempool-ring23", "librte-bus-pci23", "librte-bus-vdev23"} <= dependencies(named)


def scripts_are_shell():
    for name in sorted(os.listdir(os.path.join(DEPLOY, "slurm"))):
        subprocess.run(["bash", "-n", os.path.join(DEPLOY, "slurm", name)], check=True)


def main():
    for case in (all_files_are_used, job_is_an_indexed_one_with_a_name_for_rank_0,
                 container_gets_what_it_asks_for, every_pod_runs_its_own_rank,
                 image_is_made_of_what_is_there, image_has_the_libraries_that_the_program_links,
                 scripts_are_shell):
        case()
        print("ok", case.__name__, flush=True)


if __name__ == "__main__":
    main()
