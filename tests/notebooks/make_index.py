"""Writes notebooks/00_index.ipynb: a picture and two sentences for each chapter, the picture from its saved outputs.

    python tests/notebooks/make_index.py
"""
import base64
import io
from pathlib import Path

import nbformat

FOLDER = Path(__file__).parents[2] / "notebooks"
WIDTH = 340                                            # of a picture, in pixels

# file: what a cell whose picture it is contains, what is seen there, and two sentences about the chapter
CHAPTERS = {
    "01_neural_networks_review": (
        "TwoLayerNet(2, 10, 3, rng=0), SGD(lr=1.0)",
        "Points of three classes along the arms of a spiral, and the curved regions that a network assigns to the "
        "classes after 100 epochs: few points lie in another class's.",
        "From a straight line to a network that follows a spiral, every gradient derived and checked. Everything is "
        "written three times: bare arrays, functions, classes."),
    "02_computation_graphs": (
        "neuron = Graph",
        "A neuron with a sigmoid as a computation graph, from products and sums to × −1, exp, + 1 and 1/: the value "
        "stands over each edge, the gradient under it.",
        "A formula is a graph, and its gradient a walk back through it. Three ways to differentiate, what each costs, and "
        "the second derivative."),
    "03_backpropagation_by_hand": (
        "SIX = ",
        "Six nonlinearities, their slopes, and the loss of a network of six hidden layers with each: with sigmoid it "
        "has not moved after 120 steps, with tanh and ELU it is lowest.",
        "Index by index, then as matrices: backpropagation with pencil and paper, for two layers and for $L$. Then the "
        "gradient that vanishes, and six nonlinearities."),
    "04_universal_approximation": (
        "results.items()",
        "Five fits of one curve with ReLU units, the places of their kinks below: with all biases 0 the kinks stay "
        "together and the fit fails, spread out they follow the curve.",
        "One hidden layer comes as close as you like to any continuous function; here it is built, weight by weight. Then "
        "what training makes of it, and depth against width."),
    "05_convolution": (
        "def im2col",
        "A 4 × 4 image with one pixel marked, its matrix of 2 × 2 windows, in which that pixel stands four times, the "
        "filter as a column, and their product.",
        "Small weights over every place: by hand, in seven loops, as a product of matrices. Padding, stride, channels, "
        "pooling, and the gradient of it all."),
    "06_cnn_architectures": (
        "f = layer(f)",
        "A residual block: x passes two 3 × 3 convolutions with BatchNorm on one way and nothing on the other, the "
        "skip connection; their sum goes through a ReLU.",
        "LeNet, AlexNet, VGG, NiN, GoogLeNet, ResNet: what each added, and what it costs. Small ones are trained side by "
        "side."),
    "07_word_vectors": (
        "groups = [",
        "Words of Python's documentation, as SkipGram places them, in a plane: int, str, float and bytes are "
        "neighbours, and so are will, may and should, or try, except and finally.",
        "Numbers for words, by counting neighbours and by guessing them. Both are asked the same questions, and one of "
        "them wins."),
    "08_recurrent_networks": (
        "def gradient_norms",
        "The norm of the state's gradient, up to 50 time steps back, for an RNN, a clipped RNN, an LSTM and a GRU: "
        "depending on the initial weights it vanishes, explodes or lasts.",
        "A state carried from word to word, backpropagation through time, and what becomes of a gradient fifty steps "
        "back. The opponents only count."),
    "09_lstm_and_gru": (
        "def named(",
        "An LSTM cell as a graph: x and h are concatenated and go through three gates and a proposal; the cell state c "
        "is multiplied by one gate and added to.",
        "Gates that decide what is kept, derived one by one. A language model that beats counting."),
    "10_seq2seq_and_attention": (
        "Graph([start, *question",
        "An encoder and a decoder, unrolled: three encoder cells read x1 to x3, their last state starts two decoder "
        "cells, each of which gives scores.",
        "An encoder reads, a decoder writes, and attention lets it look back. Networks learn to add and to read dates."),
    "11_transformer": (
        "def block(",
        "A Transformer block: LayerNorm and multi-head attention, then LayerNorm, Affine, GELU and Affine, with a skip "
        "connection around each half.",
        "Attention without recurrence, put together piece by piece, each because something fails without it. At the end "
        "it writes like Python's documentation."),
    "12_find_the_bug": (
        None, None,
        "Ten layers, each with one mistake that somebody has really made. You repair them, and `check_gradients` is the "
        "judge."),
    "13_training_a_network": (
        "contour",
        "The paths of SGD, Momentum, Nesterov, AdaGrad, RMSProp and Adam into a narrow valley: SGD zigzags from wall "
        "to wall, Momentum and Adam swing, AdaGrad and RMSProp turn and go straight.",
        "Optimizers derived and raced, batch size, initialisation, schedules, the scale of the inputs. What makes a "
        "network train at all."),
    "14_generalisation": (
        "roc",
        "Confusion matrices of two classifiers of a rare class, trained plainly and with balanced weights, and their "
        "ROC curves: the curves are the same, the cuts at p = ½ are not.",
        "Overfitting made and cured, losses for each task, honest measures, the search for settings. What makes a network "
        "right about what it has not seen."),
    "15_data_and_the_frameworks": (
        "fill_between",
        "Accuracy on test digits against the number of labelled ones, from 20 to 400: a pretrained network, with "
        "convolutions frozen or all trained on, is above one trained from scratch, most of all with few labels.",
        "Preparing data; Keras's and PyTorch's way line beside line with ours; weights that somebody else has trained. "
        "MLP, CNN and RNN in one table."),
}
INTRODUCTION = "\n".join([
    "# Deep learning from the chain rule up", "",
    "Fifteen chapters to read and to run. Each derives what it uses, checks what it derives, and measures what it claims;",
    "each opens with what you will be able to do and ends with five lines to remember. **In order**, 1 to 6 lead from a",
    "straight line to residual networks, 7 to 11 from words to the Transformer; 12 is for the train, and 13 to 15 are about",
    "the craft. **In a hurry**, read 1, 3 and 13. **For a course**, take 1–3, then 5–6 or 8–11, then 13–15. The exercises",
    "have solutions, to which each chapter leads."])


def picture(chapter, anchor):
    """The first picture of the cell that contains the anchor, of WIDTH pixels, as PNG; None where there is none."""
    from PIL import Image
    for cell in chapter.cells:
        pictures = [output.data["image/png"] for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})]
        if anchor and pictures and anchor in cell.source:
            image = Image.open(io.BytesIO(base64.b64decode(pictures[0]))).convert("RGB")
            size = WIDTH, max(1, round(image.height * WIDTH / image.width))
            if size[1] > WIDTH:
                size = round(size[0] * WIDTH / size[1]), WIDTH
            file = io.BytesIO()
            image.resize(size, Image.LANCZOS).quantize(64).save(file, "png", optimize=True)
            return base64.b64encode(file.getvalue()).decode()
    return None


def index():
    cells = [nbformat.v4.new_markdown_cell(INTRODUCTION)]
    for name, (anchor, seen, sentences) in CHAPTERS.items():
        path = FOLDER / f"{name}.ipynb"
        if not path.exists():
            continue
        chapter = nbformat.read(path, as_version=4)
        title = chapter.cells[0].source.split("\n")[0].lstrip("# ")
        cell = nbformat.v4.new_markdown_cell(f"### [{title}]({name}.ipynb)\n\n{sentences}")
        image = picture(chapter, anchor)
        if image:
            cell.source += f"\n\n![{seen}](attachment:{name}.png)"
            cell.attachments = {f"{name}.png": {"image/png": image}}
        cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells)


if __name__ == "__main__":
    from test_notebooks import tidy
    (FOLDER / "00_index.ipynb").write_text(nbformat.writes(tidy(index())) + "\n", encoding="utf-8")
