"""The registered model as an MLflow pyfunc, by code and safetensors: nothing is pickled."""

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class RankerModel(PythonModel):
    """Scores (context, item) rows with the ranker of this version."""

    def load_context(self, context):
        """Open the ranker; MLflow calls this with the keyword `context`."""
        from assay.components.core.ranker import open_ranker

        self.ranker = open_ranker(context.artifacts["ranker"])

    def predict(self, context, model_input, params=None):
        """Logits of rows with columns context and item. Returns (n,) float32."""
        pairs = self.ranker.tokenise(model_input["context"].tolist(), model_input["item"].tolist())
        return self.ranker.score(pairs)


set_model(RankerModel())
