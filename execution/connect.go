package execution

// Connect returns a recorder whose records go to the server of the configuration, by way of a folder in which they wait while
// the server is away. It does not wait for the server. Without a URL they stay in the folder, for flux import. Errors are
// ErrBadConfig, and those of the folder.
func Connect(config Config) (*Recorder, error) {
	config = config.WithDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	d, err := openDelivery(config)
	if err != nil {
		return nil, err
	}
	return newRecorder(config, d)
}
