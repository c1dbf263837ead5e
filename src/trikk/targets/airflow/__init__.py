"""Apache Airflow 3: a pipeline as a DAG file that needs nothing but trikk where its tasks run."""
