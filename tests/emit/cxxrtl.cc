// Drives a core that yosys's write_cxxrtl has made C++: loads weights, sends samples, compares predictions and weights.
// words.txt: numbers of weights, sample words and predictions, rate; then weights, sample words, predictions, weights.
#include <cstdio>
#include <fstream>
#include <vector>
#include "core.cc"

int main(int count, char **) {
    cxxrtl_design::p_little core;
    std::ifstream file("words.txt");
    size_t weights, words, predictions;
    unsigned rate;
    file >> weights >> words >> predictions >> rate;
    std::vector<unsigned> load(weights), sent(words), classes(predictions), wanted(weights);
    for (auto list : {&load, &sent, &classes, &wanted})
        for (auto &word : *list) file >> word;
    auto settle = [&] { core.p_clk.set<bool>(false); core.step(); };
    auto rise = [&] { core.p_clk.set<bool>(true); core.step(); };
    if (count > 1) {  // with a reset
        core.p_rst.set<bool>(true);
        for (int k = 0; k < 3; k++) settle(), rise();
        core.p_rst.set<bool>(false);
    }
    size_t done = 0, seen = 0, wrong = 0, read = 0, bad = 0;
    core.p_weight__in__valid.set<bool>(true);
    while (done < weights) {
        core.p_weight__in__payload.set<unsigned>(load[done]);
        settle();
        bool ready = core.p_weight__in__ready.get<bool>();
        rise();
        done += ready;
    }
    core.p_weight__in__valid.set<bool>(false);
    core.p_rate.set<unsigned>(rate);
    core.p_prediction__ready.set<bool>(true);
    done = 0;
    for (long cycle = 0; cycle < 100000 && seen < predictions; cycle++) {
        core.p_sample__valid.set<bool>(done < words);
        if (done < words) core.p_sample__payload.set<unsigned>(sent[done]);
        settle();
        bool taken = done < words && core.p_sample__ready.get<bool>();
        if (core.p_prediction__valid.get<bool>()) wrong += core.p_prediction__payload.get<unsigned>() != classes[seen++];
        rise();
        done += taken;
    }
    for (long cycle = 0; cycle < 100000; cycle++) {
        settle();
        if (core.p_idle.get<bool>()) break;
        rise();
    }
    core.p_dump.set<bool>(true);
    core.p_weight__out__ready.set<bool>(true);
    for (long cycle = 0; cycle < 100000 && read < weights; cycle++) {
        rise();
        settle();
        if (!core.p_idle.get<bool>()) core.p_dump.set<bool>(false);
        if (core.p_weight__out__valid.get<bool>()) bad += core.p_weight__out__payload.get<unsigned>() != wanted[read++];
    }
    printf("%zu predictions, %zu differ; %zu weights, %zu differ\n", seen, wrong, read, bad);
}
