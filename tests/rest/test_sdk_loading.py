import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_sdks_models_are_loaded_only_when_somebody_uses_them() -> None:
    code = (
        "import sys; from retell_voice.rest.sdk import load_sdk; sdk = load_sdk()\n"
        "models = lambda: sum(name.startswith('retell.types.') for name in sys.modules)\n"
        "print(models())\n"
        "import retell; assert retell is sdk\n"
        "assert retell.types.CallResponse and retell.AsyncRetell(api_key='k').call\n"
        "print(models() > 100)"
    )
    assert run(code) == "0\nTrue"


def test_a_program_that_has_loaded_the_sdk_keeps_its_own() -> None:
    code = (
        "import retell; from retell_voice.rest.sdk import load_sdk\n"
        "print(load_sdk() is retell, retell.types.CallResponse is not None)"
    )
    assert run(code) == "True True"
