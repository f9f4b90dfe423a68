package execution

import "os"

// Connect returns a recorder whose records go to the server of the configuration, by way of a folder in which they wait while
// the server is away. It does not wait for the server. Without a URL they stay in the folder, for flux import. Errors are
// ErrBadConfig, and those of the folder.
//
// In a process that flux replay or flux resume started, the recorder replays or resumes one record instead. A replay touches
// neither folder nor server.
func Connect(config Config) (*Recorder, error) {
	config = config.WithDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	control, err := processControl(os.Getenv(EnvReplay))
	if err != nil {
		return nil, err
	}
	if control != nil && control.control.Resume == nil {
		return newProcess(config, control, discard{})
	}
	d, err := openDelivery(config)
	if err != nil {
		return nil, err
	}
	if control != nil {
		return newProcess(config, control, d)
	}
	r, err := newRecorder(config, d)
	if err == nil {
		d.announce(r)
	}
	return r, err
}
