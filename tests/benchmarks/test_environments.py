"""Environments that scripts make for what they measure beside the toolkit."""


def test_an_environment_is_found_by_its_pins(script, tmp_path):
    module = script("environments")
    one, same, other = (module.key_of(pins) for pins in (("a==1", "b==2"), ("b==2", "a==1"), ("a==1", "b==3")))
    assert one == same != other
    made = tmp_path / f"side-{one}"
    made.mkdir()
    (made / module.FINISHED).write_text("{}")
    assert module.make_environment(tmp_path, "side", ("a==1", "b==2")).parents[1] == made
