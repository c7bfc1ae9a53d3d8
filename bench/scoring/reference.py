# Reference implementations: scikit-learn detectors and PyTorch networks, single-threaded, controlled by lines of JSON.

import json
import math
import sys
import time

import numpy as np
import sklearn
import torch
from sklearn.cluster import Birch, KMeans
from sklearn.ensemble import IsolationForest, RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.svm import OneClassSVM
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(1)


def read(path, width):
    return np.fromfile(path, dtype=np.float64).reshape(-1, width)


def autoencoder(width):
    """The network of PyOD: batch normalisation after each hidden layer, dropout in training."""
    def hidden(inputs, units):
        return [nn.Linear(inputs, units), nn.BatchNorm1d(units), nn.ReLU(), nn.Dropout(0.2)]
    return nn.Sequential(*hidden(width, 64), *hidden(64, 32), *hidden(32, 64), nn.Linear(64, width))


def fit_autoencoder(rows, epochs):
    table = torch.tensor(rows, dtype=torch.float32)
    network = autoencoder(table.shape[1])
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    size = min(32, len(table))
    for _ in range(epochs):
        order = torch.randperm(len(table))
        for start in range(0, len(table) - size + 1, size):
            batch = table[order[start:start + size]]
            optimizer.zero_grad()
            nn.functional.mse_loss(network(batch), batch).backward()
            optimizer.step()
    network.eval()

    def score(batch):
        with torch.no_grad():
            values = torch.tensor(batch, dtype=torch.float32)
            return (network(values) - values).square().sum(1).sqrt().numpy()
    return score


def fit_so_gaal(rows, stop_epochs):
    """The networks of PyOD, with our batch size."""
    table = torch.tensor(rows, dtype=torch.float32)
    count, width = table.shape
    generator = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    discriminator = nn.Sequential(nn.Linear(width, math.ceil(math.sqrt(count))), nn.ReLU(), nn.Linear(math.ceil(math.sqrt(count)), 1))
    for layer in (generator[0], generator[2]):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    optimizer_d = torch.optim.SGD(discriminator.parameters(), lr=0.01, momentum=0.9)
    optimizer_g = torch.optim.SGD(generator.parameters(), lr=1e-4, momentum=0.9)
    size = min(500, max(32, math.ceil(count / 8)))
    softplus = nn.functional.softplus
    for epoch in range(3 * stop_epochs):
        order = torch.randperm(count)
        for start in range(0, count, size):
            batch = table[order[start:start + size]]
            noise = torch.rand_like(batch)
            generated = generator(noise).detach()
            optimizer_d.zero_grad()
            (softplus(-discriminator(batch)).mean() + softplus(discriminator(generated)).mean()).backward()
            optimizer_d.step()
            if epoch <= stop_epochs:
                optimizer_g.zero_grad()
                softplus(-discriminator(generator(noise))).mean().backward()
                optimizer_g.step()

    def score(batch):
        with torch.no_grad():
            return discriminator(torch.tensor(batch, dtype=torch.float32))[:, 0].numpy()
    return score


def fit(name, rows, labels, request):
    """Fits a detector and returns its scoring function, from rows to outlier scores."""
    if name == 'autoencoder':
        return fit_autoencoder(rows, request['epochs'])
    if name == 'so-gaal':
        return fit_so_gaal(rows, request['stopEpochs'])
    if name == 'random-forest':
        forest = RandomForestClassifier(n_estimators=100, n_jobs=1, random_state=1).fit(rows, labels)
        return lambda batch: forest.predict_proba(batch)[:, 1]
    if name == 'iforest':
        forest = IsolationForest(n_estimators=100, max_samples=min(256, len(rows)), n_jobs=1, random_state=1).fit(rows)
        return lambda batch: -forest.decision_function(batch)
    if name == 'ocsvm':
        machine = OneClassSVM(kernel='rbf', nu=0.5, gamma='auto', cache_size=256).fit(rows)
        return lambda batch: -machine.decision_function(batch)
    if name == 'kmeans':
        means = KMeans(n_clusters=2, n_init=10, random_state=1).fit(rows)
        return lambda batch: means.transform(batch).min(axis=1)
    if name == 'birch':
        tree = Birch(threshold=request['threshold'], branching_factor=50, n_clusters=None, compute_labels=False).fit(rows)
        return lambda batch: tree.transform(batch).min(axis=1)
    raise ValueError(name)


def speed(score, rows, batch, seconds):
    """Returns rows per second of processor time. Stops within a pass, which would take too long with a batch of one row."""
    done = 0
    start = 0
    started = time.process_time()
    while True:
        done += len(score(rows[start:start + batch]))
        start = start + batch if start + 2 * batch <= len(rows) else 0
        elapsed = time.process_time() - started
        if elapsed >= seconds:
            return done / elapsed


def main():
    setup = json.loads(sys.stdin.readline())
    train = read(setup['train'], setup['width'])
    test = read(setup['test'], setup['width'])
    train_labels = np.fromfile(setup['trainLabels'], dtype=np.uint8)
    test_labels = np.fromfile(setup['testLabels'], dtype=np.uint8)
    fitted = {}

    def answer(request):
        if request['do'] == 'fit':
            rows = request['rows']
            started = time.process_time()
            score = fit(request['detector'], train[:rows], train_labels[:rows], request)
            seconds = time.process_time() - started
            fitted[request['name']] = score
            return {'seconds': seconds, 'auc': roc_auc_score(test_labels, score(test))}
        return {'rowsPerSecond': speed(fitted[request['name']], test, request['batch'], request['seconds'])}

    print(json.dumps({'versions': f'Python {sys.version.split()[0]}, scikit-learn {sklearn.__version__}, PyTorch {torch.__version__}, NumPy {np.__version__}'}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


main()
