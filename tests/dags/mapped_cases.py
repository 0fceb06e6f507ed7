"""The ways to map steps that no example shows: one instance alone, and a mapped group of tasks."""

from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task_group

from refrain import PipelineData
from refrain_operators import Gathered, PythonScriptOperator

JOIN: dict[str, Any] = {
    "script_name": "join.py",
    "source_directory": str(Path(__file__).resolve().parent / "mapped_cases_steps"),
    "allow_reuse": False,  # each instance writes its own key
}


def folder(name: str) -> PipelineData:
    """An output that is a folder."""
    return PipelineData(name, is_directory=True)


with DAG(dag_id="mapped_cases", schedule=None) as dag:
    begin, alone, single, group = map(folder, ("begin", "alone", "single", "group"))

    PythonScriptOperator(task_id="begin", arguments=[begin, "begin"], outputs=[begin], **JOIN)
    one = PythonScriptOperator.partial(task_id="one", inputs=[begin], outputs=[alone], **JOIN).expand(
        arguments=[[alone, "me", begin]]
    )
    ones = Gathered(one, "alone")
    PythonScriptOperator(task_id="gather_one", arguments=[single, "me", ones], inputs=[ones], outputs=[single], **JOIN)

    @task_group  # type: ignore[untyped-decorator]  # Airflow is not typed for our oldest Python
    def both(word: Any) -> None:
        """Two steps, the second reading the first one's output of the same map index."""
        first, second = folder("first"), folder("second")
        PythonScriptOperator(task_id="first", arguments=[first, "me", begin], inputs=[begin], outputs=[first], **JOIN)
        PythonScriptOperator(
            task_id="second", arguments=[second, "me", first], inputs=[first], outputs=[second], **JOIN
        )

    both.expand(word=["a", "b"])
    several = Gathered(dag.get_task("both.second"), "second")
    PythonScriptOperator(
        task_id="gather_group", arguments=[group, "me", several], inputs=[several], outputs=[group], **JOIN
    )
