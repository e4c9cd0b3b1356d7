"""tests/apps/deploy_cases.py MILLRACE DEPLOY - the manifests that a user copies: that they agree
with each other and with what Kubernetes asks of an Indexed Job, and that what a container runs is
right, with the variables that it gets there. (tests/slurm runs those for Slurm.)
"""

import os
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
                         'rate = "4M"', 'rank-timeout = "5m"'):
                assert line in done.stdout, (line, done.stdout)
        del environment["PCIDEVICE_INTEL_COM_SRIOV"]
        done = subprocess.run([*container["command"], *container["args"]], env=environment,
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0 and "no device was given" in done.stderr, done


def scripts_are_shell():
    for name in sorted(os.listdir(os.path.join(DEPLOY, "slurm"))):
        subprocess.run(["bash", "-n", os.path.join(DEPLOY, "slurm", name)], check=True)


def main():
    for case in (all_files_are_used, job_is_an_indexed_one_with_a_name_for_rank_0,
                 container_gets_what_it_asks_for, every_pod_runs_its_own_rank, scripts_are_shell):
        case()
        print("ok", case.__name__, flush=True)


if __name__ == "__main__":
    main()
